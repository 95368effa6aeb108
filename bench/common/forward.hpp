// What a forwarder does to a datagram: its first two octets are the id of a query, as in DNS. The client chose it; the
// upstream sees one of the forwarder's, which is the place of the client in the forwarder's table.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bench {

/// Queries that wait for their answers at a time: a later query takes the place of the oldest one. A power of two.
constexpr std::size_t most_forwarded = 8192;

/// Octets of the id, at the front of a datagram.
constexpr std::size_t id_size = 2;

inline std::uint16_t read_id(const std::byte* at) noexcept {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(at[0]) << 8 | std::to_integer<unsigned>(at[1]));
}

inline void write_id(std::byte* at, std::uint16_t id) noexcept {
  at[0] = static_cast<std::byte>(id >> 8);
  at[1] = static_cast<std::byte>(id);
}

}  // namespace bench
