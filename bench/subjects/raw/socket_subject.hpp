// A subject with one UDP socket of its own.
#pragma once

#include <netinet/udp.h>

#include "common/control.hpp"
#include "common/socket.hpp"
#include "subjects/subject.hpp"

namespace bench::raw {

class socket_subject : public subject {
 public:
  explicit socket_subject(const settings& s) : socket_(open_socket()) {
    if (s.control) request_control(fd());
    if (s.gro) set_option(fd(), SOL_UDP, UDP_GRO, 1);
  }

  std::vector<std::uint16_t> ports() const override { return {port_of(fd())}; }

 protected:
  int fd() const noexcept { return socket_.get(); }

 private:
  descriptor socket_;
};

}  // namespace bench::raw
