// The messages of a hand-over, octet by octet, in network order. Each is one message of a SOCK_SEQPACKET socket.
//
//     successor    ready                                 it is there, and takes this version
//     predecessor  socket, datagrams..., socket, ...     the descriptor goes with `socket`
//     predecessor  end
//     successor    taken                                 from now on the sockets are the successor's
//
// Instead of any of these: refused, with an errno. `ready`, `end`, `taken` and `refused` keep their form in all
// versions, so that programs of different versions can tell each other so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>

#include "ipv6/value/wire.hpp"
#include "uring6/address.hpp"
#include "uring6/released_packet.hpp"

namespace uring6::inline v0::detail {

/// Of the messages. A field of `control_message` or `kept_datagram` that is added makes a new one.
inline constexpr std::uint16_t handover_version = 1;

enum class handover_kind : std::uint16_t { ready = 1, socket = 2, datagrams = 3, end = 4, taken = 5, refused = 6 };

/// A message with its body, in place.
struct handover_view {
  std::uint16_t version;
  handover_kind kind;
  wire::bytes body;
};

/// What `socket` says; its datagrams follow it.
struct offered_head {
  bool listener = false;
  std::string name{};
  std::uint32_t datagrams = 0;
  std::uint32_t kernel_drops = 0;
  std::optional<endpoint> peer{};
};

// Octets. A message of datagrams is sent once it is longer than `enough`; the last datagram may be a longest one. Half
// of the usual send buffer (net.core.wmem_default, 212,992) has room for all messages.
inline constexpr std::size_t enough_in_message = 32 * 1024;
inline constexpr std::size_t longest_message = 104 * 1024;
inline constexpr std::size_t longest_handover_name = 255;

/// Sockets of one hand-over, so that garbage makes a process take no more descriptors.
inline constexpr std::size_t most_handed_over = 4096;

void write_head(wire::writer& to, handover_kind kind);
/// `value`: of `end` the number of sockets, of `refused` the errno, else 0.
void write_short(wire::writer& to, handover_kind kind, std::uint32_t value = 0);
/// Precondition (asserted): the name is no longer than `longest_handover_name`.
void write_socket(wire::writer& to, const offered_head& what);
/// Behind the head of `datagrams`, one after the other.
void write_datagram(wire::writer& to, const kept_datagram& what);

/// nullopt: the octets are no message of a hand-over, of any version.
std::optional<handover_view> read_message(wire::bytes octets) noexcept;
/// The value of `write_short`.
std::optional<std::uint32_t> read_short(wire::bytes body) noexcept;
std::optional<offered_head> read_socket(wire::bytes body);
/// The next datagram. nullopt: malformed.
std::optional<kept_datagram> read_datagram(wire::reader& from);

/// An error as the errno that is nearest to it, and back.
std::uint32_t wire_error(const std::error_code& error) noexcept;
std::error_code error_of_wire(std::uint32_t number) noexcept;

}  // namespace uring6::inline v0::detail
