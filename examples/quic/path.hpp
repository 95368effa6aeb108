// A QUIC path: the two addresses between which a packet goes. ngtcp2 has them as socket addresses, uring6 as endpoints.
#pragma once

#include <netinet/in.h>
#include <ngtcp2/ngtcp2.h>

#include <uring6/uring6.hpp>

namespace quic {

namespace u6 = uring6;

struct path {
  path(const u6::endpoint& from, const u6::endpoint& to) : local(from.to_sockaddr()), remote(to.to_sockaddr()) {}

  /// For ngtcp2, which copies it. Refers to this object.
  ngtcp2_path view() {
    return {{reinterpret_cast<sockaddr*>(&local), sizeof local},
            {reinterpret_cast<sockaddr*>(&remote), sizeof remote},
            nullptr};
  }

  sockaddr_in6 local;
  sockaddr_in6 remote;
};

}  // namespace quic
