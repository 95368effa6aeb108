// A server socket that receives the destination address and the interface of each datagram.
#pragma once

#include "subjects/raw/socket_subject.hpp"

namespace bench::raw {

class echo_server : public socket_subject {
 public:
  explicit echo_server(const settings& s) : socket_subject(s) { set_option(fd(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1); }
};

}  // namespace bench::raw
