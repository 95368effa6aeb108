// Room for datagrams that wait in a socket.
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <cstddef>

#include "uring6/packet_conn.hpp"

namespace uring6::test {

/// Skips a case that needs `datagrams` short datagrams to wait at `conn` if its receive buffer does not hold them:
/// without privilege the kernel grants net.core.rmem_max, by default 212,992 octets.
inline void need_room_for(std::size_t datagrams, const packet_conn& conn) {
  // The kernel charges 768 octets for a short datagram, and doubles the granted size (socket(7)).
  constexpr std::size_t counted = 768 / 2;
  const std::size_t granted = or_throw(conn.receive_buffer());
  if (granted < datagrams * counted)
    SKIP("a receive buffer of " << granted << " octets (net.core.rmem_max) does not hold " << datagrams
                                << " datagrams");
}

}  // namespace uring6::test
