// Room for datagrams that wait in a socket.
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <cstddef>

#include "uring6/packet_conn.hpp"

namespace uring6::test {

/// Skips a case that has `datagrams` short datagrams wait at `conn`, where its receive buffer does not hold them: an
/// ordinary user is granted net.core.rmem_max, by default 212,992 octets.
inline void need_room_for(std::size_t datagrams, const packet_conn& conn) {
  // Of a short datagram the kernel counts 768 octets, and to what it has granted it adds as much again (socket(7)).
  constexpr std::size_t counted = 768 / 2;
  const std::size_t granted = or_throw(conn.receive_buffer());
  if (granted < datagrams * counted)
    SKIP("a receive buffer of " << granted << " octets (net.core.rmem_max) does not hold " << datagrams
                                << " datagrams");
}

}  // namespace uring6::test
