// control_message: what travels beside an IPv6 datagram, in both directions, and its bytes.
#pragma once

#include "uring6/version.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "uring6/address.hpp"
#include "uring6/export.hpp"
#include "uring6/result.hpp"

namespace uring6 {

/// Which control information a socket is asked to deliver with each datagram. Go: ipv6.ControlFlags, the same
/// bits.
enum class control_flags : std::uint32_t {
  none = 0,
  traffic_class = 1,  ///< IPV6_RECVTCLASS
  hop_limit = 2,      ///< IPV6_RECVHOPLIMIT
  source = 4,         ///< The peer's address; it comes with every datagram and costs no control bytes.
  destination = 8,    ///< IPV6_RECVPKTINFO
  interface = 16,     ///< IPV6_RECVPKTINFO, which it shares with `destination`
  path_mtu = 32,      ///< IPV6_RECVPATHMTU
  timestamp = 64,     ///< SO_TIMESTAMPNS_NEW, and the kernel stamps what comes in. Not in Go.
};

constexpr control_flags operator|(control_flags a, control_flags b) noexcept {
  return static_cast<control_flags>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}
constexpr control_flags operator&(control_flags a, control_flags b) noexcept {
  return static_cast<control_flags>(static_cast<std::uint32_t>(a) & static_cast<std::uint32_t>(b));
}
constexpr control_flags operator~(control_flags a) noexcept {
  return static_cast<control_flags>(~static_cast<std::uint32_t>(a));
}
constexpr control_flags& operator|=(control_flags& a, control_flags b) noexcept {
  return a = a | b;
}
constexpr control_flags& operator&=(control_flags& a, control_flags b) noexcept {
  return a = a & b;
}

/// Every flag there is.
inline constexpr control_flags all_control_flags =
    control_flags::traffic_class | control_flags::hop_limit | control_flags::source | control_flags::destination |
    control_flags::interface | control_flags::path_mtu | control_flags::timestamp;

/// Whether `flags` holds at least one of `wanted`.
constexpr bool has_any(control_flags flags, control_flags wanted) noexcept {
  return (flags & wanted) != control_flags::none;
}

/// The per-datagram control information of RFC 3542, sections 6 and 11. Go: ipv6.ControlMessage.
///
/// Every field is optional, so that 0 can be sent and be told from "not given". What arrives on a dual-stack
/// socket from an IPv4 peer fills the same fields (TOS, TTL, v4-mapped addresses).
struct URING6_EXPORT control_message {
  /// 0 to 255: six bits DSCP, two bits ECN. IPV6_TCLASS.
  std::optional<int> traffic_class;
  /// 0 to 255 (1 to 255 to an IPv4 peer). IPV6_HOPLIMIT.
  std::optional<int> hop_limit;
  /// The interface it came in by, or is to leave by. IPV6_PKTINFO.
  std::optional<std::uint32_t> interface_index;
  /// Receive only: the path MTU towards `destination`, octets. It comes alone, without a datagram.
  /// IPV6_PATHMTU.
  std::optional<std::uint32_t> path_mtu;
  /// To send: the address of this host to send from. On receive: the peer's address.
  std::optional<ip_address> source;
  /// Receive only: the unicast or multicast address it was sent to. Never has a zone: `interface_index` is
  /// it.
  std::optional<ip_address> destination;
  /// To send: the first router. Linux has no such control message (it refuses IPV6_NEXTHOP); `encode` says
  /// `std::errc::not_supported`.
  std::optional<ip_address> next_hop;
  /// Receive only: when the kernel got it from the device, by the system's clock; one for all datagrams of a train.
  /// SCM_TIMESTAMPNS.
  std::optional<std::chrono::sys_time<std::chrono::nanoseconds>> received_at;

  /// The differentiated services code point, 0 to 63 (RFC 2474), of a traffic class that is in range.
  constexpr std::optional<int> dscp() const noexcept {
    if (!traffic_class || !is_octet(*traffic_class)) return std::nullopt;
    return *traffic_class >> 2;
  }

  /// Explicit congestion notification (RFC 3168): 0 not capable, 1 ECT(1), 2 ECT(0), 3 congestion
  /// experienced.
  constexpr std::optional<int> ecn() const noexcept {
    if (!traffic_class || !is_octet(*traffic_class)) return std::nullopt;
    return *traffic_class & 3;
  }

  /// Sets the code point, 0 to 63, and keeps ECN. Out of range makes a traffic class that `encode` refuses.
  constexpr void set_dscp(int dscp) noexcept {
    traffic_class = dscp >= 0 && dscp <= 63 ? dscp << 2 | ecn().value_or(0) : -1;
  }

  /// Sets ECN, 0 to 3, and keeps the code point. Out of range makes a traffic class that `encode` refuses.
  constexpr void set_ecn(int ecn) noexcept {
    traffic_class = ecn >= 0 && ecn <= 3 ? dscp().value_or(0) << 2 | ecn : -1;
  }

  /// The control message for an answer (RFC 8085, 5.1.1): from the address it was sent to, if that was
  /// unicast, by the interface it came in by; all else is left to the socket.
  constexpr control_message reply() const noexcept {
    control_message answer;
    if (destination && destination->is_unicast()) answer.source = destination;
    answer.interface_index = interface_index;
    return answer;
  }

  friend constexpr bool operator==(const control_message&, const control_message&) noexcept = default;

 private:
  static constexpr bool is_octet(int value) noexcept { return value >= 0 && value <= 255; }
};

/// Whom a control message is sent to. A v4-mapped destination goes out by the kernel's IPv4 path, which takes
/// other control messages than the IPv6 path does, even on the same AF_INET6 socket.
enum class peer_family : std::uint8_t { ipv6, ipv4 };

/// The family a datagram to `destination` is sent by.
constexpr peer_family family_of(const ip_address& destination) noexcept {
  return destination.is_v4_mapped() ? peer_family::ipv4 : peer_family::ipv6;
}

/// The bytes a control message with `payload` bytes of data takes. CMSG_SPACE.
constexpr std::size_t control_space(std::size_t payload) noexcept {
  constexpr std::size_t unit = sizeof(std::size_t);
  return sizeof(cmsghdr) + (payload + unit - 1) / unit * unit;
}

/// The bytes of control area that a receive with these flags fills, from IPv6 and from IPv4 peers (for whom
/// IPV6_PKTINFO is delivered as well, so that IP_PKTINFO need not be asked for).
/// Go: len(NewControlMessage(flags)).
constexpr std::size_t control_space(control_flags flags) noexcept {
  std::size_t total = 0;
  if (has_any(flags, control_flags::traffic_class)) total += control_space(sizeof(int));
  if (has_any(flags, control_flags::hop_limit)) total += control_space(sizeof(int));
  if (has_any(flags, control_flags::destination | control_flags::interface)) {
    total += control_space(sizeof(in6_pktinfo));
  }
  if (has_any(flags, control_flags::path_mtu)) total += control_space(sizeof(ip6_mtuinfo));
  if (has_any(flags, control_flags::timestamp)) total += control_space(2 * sizeof(std::int64_t));
  return total;
}

/// The bytes that `encode` writes for `message`, when it does not refuse it.
constexpr std::size_t encoded_size(const control_message& message, peer_family peer = peer_family::ipv6) noexcept {
  std::size_t total = 0;
  if (message.traffic_class) total += control_space(sizeof(int));
  if (message.hop_limit) total += control_space(sizeof(int));
  if (message.source || message.interface_index) {
    total += control_space(peer == peer_family::ipv6 ? sizeof(in6_pktinfo) : sizeof(in_pktinfo));
  }
  return total;
}

/// Enough bytes for any control message that can be sent.
inline constexpr std::size_t max_encoded_size = 2 * control_space(sizeof(int)) + control_space(sizeof(in6_pktinfo));

/// Writes the control bytes (`msg_control`) that send a datagram with `message`; allocates nothing.
///
/// `traffic_class`, `hop_limit`, `source` and `interface_index` are sent; `destination`, `path_mtu` and
/// `received_at` are for receiving and are passed over. A source with a zone and no `interface_index` leaves by
/// its zone. To an IPv4 peer they become IP_TOS, IP_TTL and IP_PKTINFO.
///
/// Returns the number of bytes written, 0 if nothing is given (`msg_controllen` then is 0).
/// Errors: `errc::out_of_range` for a traffic class or hop limit outside 0 to 255 (a hop limit of 0 to an
/// IPv4 peer, too) or an interface index above 2147483647; `std::errc::address_family_not_supported` for an
/// IPv4 source to an IPv6 peer or the reverse; `errc::zone_mismatch` for a source whose zone is another
/// interface than `interface_index`; `std::errc::not_supported` for a `next_hop`;
/// `std::errc::no_buffer_space` if `area` is too short, of which nothing is written then. RFC 3542. Go:
/// ControlMessage.Marshal.
[[nodiscard]] URING6_EXPORT result<std::size_t> encode(const control_message& message, std::span<std::byte> area,
                                                       peer_family peer = peer_family::ipv6) noexcept;

/// Reads control bytes as a receive delivered them; allocates nothing.
///
/// Any bytes are harmless. Unknown control messages are passed over; of repeated ones the last counts; a
/// value that is short (the kernel cuts the last one when space runs out) or outside its range is "not
/// given". `source` is never set: it stands in `msg_name`.
///
/// Errors: `errc::malformed` if a length runs out of `area` or is less than a header. A rest too short for
/// another header is padding. RFC 3542. Go: ControlMessage.Parse.
[[nodiscard]] URING6_EXPORT result<control_message> decode(std::span<const std::byte> area) noexcept;

/// The same, but bytes that are malformed end the message instead of refusing it: what stands before them
/// counts.
URING6_EXPORT control_message decode_prefix(std::span<const std::byte> area) noexcept;

}  // namespace uring6
