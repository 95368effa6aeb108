// What is read from and written to a packet_conn.
#pragma once

#include "uring6/version.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

#include "uring6/address.hpp"
#include "uring6/control_message.hpp"

namespace uring6 {

/// A datagram that has arrived. Trivially copyable; the payload lies in the caller's buffer (`read_from`) or in a
/// lent one (`receive`), and is valid as long as that is.
struct datagram {
  /// What was received; an empty datagram is a datagram.
  std::span<std::byte> payload;
  /// What was asked for with `set_control_message`, plus `source`. One that has `path_mtu` is not a datagram but
  /// the news that one was too long for the path.
  control_message control;
  /// Who sent it; the zone is set for link-local addresses.
  endpoint source;
  /// The datagram was longer than the buffer: `payload` is its beginning. MSG_TRUNC.
  bool truncated = false;
  /// The control information did not fit: what is missing in `control` is unknown. MSG_CTRUNC.
  bool control_truncated = false;
  /// The length of the datagram on the wire, octets.
  std::size_t full_length = 0;
};

/// A datagram to be sent, one of a batch. Go: ipv6.Message.
struct outgoing {
  /// Up to 65,527 octets over UDP. Must stay as it is until the batch has been written.
  std::span<const std::byte> payload;
  control_message control;
  /// Ignored on a connected conn.
  endpoint destination;
  /// Set by `write_batch`: why this one was not sent; empty if it was.
  std::error_code error;
};

/// A datagram to be received, one of a batch. Go: ipv6.Message.
struct incoming {
  /// Where the payload is to go.
  std::span<std::byte> buffer;
  /// Set by `read_batch`.
  datagram received;
};

/// How `read_batch` reads.
enum class read_flags : std::uint8_t {
  none = 0,
  /// Does not wait for a datagram: EAGAIN if the kernel has none. MSG_DONTWAIT.
  dont_wait = 1,
};

/// How `write_batch` writes.
enum class write_flags : std::uint8_t {
  none = 0,
  /// Does not wait for room in the socket: EAGAIN for each message that there is none for. MSG_DONTWAIT.
  dont_wait = 1,
};

/// The longest payload of a UDP datagram over IPv6 without jumbograms (RFC 8200, RFC 768).
inline constexpr std::size_t max_udp_payload = 65'527;

}  // namespace uring6
