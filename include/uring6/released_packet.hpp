// released_packet: what packet_conn::release returns and adopt_packet takes.
#pragma once

#include "uring6/version.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "uring6/address.hpp"
#include "uring6/control_message.hpp"
#include "uring6/detail/hash.hpp"

namespace uring6::inline v0 {

/// A datagram that a conn received and no reader took, in memory of its own. A value.
struct kept_datagram {
  std::vector<std::byte> payload{};
  control_message control{};
  endpoint source{};
  bool truncated = false;          ///< As in `datagram`: `payload` is not all of it.
  bool control_truncated = false;  ///< As in `datagram`.
  std::size_t full_length = 0;     ///< Octets of the payload as it was sent.

  friend bool operator==(const kept_datagram&, const kept_datagram&) noexcept = default;
};

/// A socket on its way from one conn to another, with the datagrams that the first one had read ahead. All members are
/// plain values: a program may send them to another process, the descriptor by SCM_RIGHTS.
struct released_packet {
  int fd = -1;  ///< The socket, open. It belongs to the holder of this struct, which has to close it or to adopt it.
  std::vector<kept_datagram> datagrams{};  ///< In order of arrival, before what waits in the socket.
  std::uint32_t kernel_drops = 0;  ///< The kernel's drop count at the release. The next conn counts from there on.
  std::optional<endpoint> peer{};  ///< The peer of a connected conn. For raw IP and ICMPv6 the kernel does not tell it.
};

}  // namespace uring6::inline v0

template <>
struct std::hash<uring6::kept_datagram> {
  std::size_t operator()(const uring6::kept_datagram& of) const noexcept {
    const std::string_view octets(reinterpret_cast<const char*>(of.payload.data()), of.payload.size());
    return uring6::detail::hash_of(octets, of.control, of.source, of.truncated, of.control_truncated, of.full_length);
  }
};
