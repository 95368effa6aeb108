// Room for datagrams that wait in a socket.
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <cstddef>

#include "uring6/packet_conn.hpp"

namespace uring6::test {

/// What the kernel charges for a waiting datagram, in octets: for a short one, and for one of 300 to 1,500.
inline constexpr std::size_t counted_for_short = 768;
inline constexpr std::size_t counted_for_long = 2'560;

/// Skips a case that needs `datagrams` datagrams to wait at `conn` if its receive buffer does not hold them: without
/// privilege the kernel grants net.core.rmem_max, by default 212,992 octets.
inline void need_room_for(std::size_t datagrams, const packet_conn& conn, std::size_t counted_for = counted_for_short) {
  const std::size_t counted = counted_for / 2;  // the kernel doubles the granted size (socket(7))
  const std::size_t granted = or_throw(conn.receive_buffer());
  if (granted < datagrams * counted)
    SKIP("a receive buffer of " << granted << " octets (net.core.rmem_max) does not hold " << datagrams
                                << " datagrams");
}

}  // namespace uring6::test
