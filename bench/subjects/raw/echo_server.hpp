// A server that is told which of its addresses a datagram was sent to, and by which interface it came.
#pragma once

#include "subjects/raw/socket_subject.hpp"

namespace bench::raw {

class echo_server : public socket_subject {
 public:
  explicit echo_server(const settings& s) : socket_subject(s) { set_option(fd(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1); }
};

}  // namespace bench::raw
