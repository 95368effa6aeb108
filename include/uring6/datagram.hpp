// The datagrams that a packet_conn reads and writes.
#pragma once

#include "uring6/version.hpp"

#include <cstddef>
#include <span>
#include <system_error>

#include "uring6/address.hpp"
#include "uring6/control_message.hpp"

namespace uring6::inline v0 {

/// A datagram that has arrived. Trivially copyable. The payload lies in the caller's buffer (`read_from`) or in a
/// lent buffer (`receive`), and is valid as long as that buffer.
struct datagram {
  /// What was received. Size 0 is a valid, empty datagram.
  std::span<std::byte> payload{};
  /// The control information that `set_control_message` asked for, and `source`. Never `path_mtu`: a read ends with
  /// `errc::path_mtu_event` for the news of a path MTU, which is no datagram.
  control_message control{};
  /// The sender's address and port. The zone is set for a link-local address.
  endpoint source{};
  /// The datagram was longer than the buffer; `payload` is its beginning. MSG_TRUNC.
  bool truncated = false;
  /// The control information did not fit; fields missing in `control` are unknown. MSG_CTRUNC.
  bool control_truncated = false;
  /// The length of the datagram on the wire, octets.
  std::size_t full_length = 0;
};

/// A place in a batch for `write_batch`: one datagram to be sent, or many that lie one after the other in memory. Go:
/// ipv6.Message.
struct write_slot {
  /// Up to 65,527 octets over UDP; of any length with a `segment`. The caller keeps them unchanged until the batch has
  /// been written.
  std::span<const std::byte> payload{};
  control_message control{};
  /// Ignored on a connected conn.
  endpoint destination{};
  /// Set by `write_batch`: why this message was not sent; empty if it was sent. With a `segment`: the error of a
  /// datagram of the message that was not sent.
  std::error_code error{};
  /// The length of each datagram that the payload is cut into, octets; the last one may be shorter. 0: the payload is
  /// one datagram. The message leaves as one train, or as several, without work for each datagram: so a program passes
  /// on a received train (`datagram_batch::iterator::train`), or sends what it has written in one piece. UDP only.
  /// UDP_SEGMENT.
  std::size_t segment = 0;
};

/// A place in a batch for `read_batch`, which fills it with one datagram. Go: ipv6.Message.
struct read_slot {
  /// The memory into which `read_batch` copies the payload.
  std::span<std::byte> buffer{};
  /// Set by `read_batch`.
  datagram received{};
};

using outgoing [[deprecated("the name is write_slot")]] = write_slot;
using incoming [[deprecated("the name is read_slot")]] = read_slot;

/// The longest payload of a UDP datagram over IPv6 without jumbograms, octets: 65,535 minus 8 of UDP header (RFC
/// 8200, RFC 768).
inline constexpr std::size_t max_udp_payload = 65'527;

}  // namespace uring6::inline v0
