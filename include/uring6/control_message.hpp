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
#include "uring6/detail/hash.hpp"
#include "uring6/export.hpp"
#include "uring6/flags.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

/// The control information that a socket delivers with each datagram. Go: ipv6.ControlFlags, the same bits.
enum class control_flags : std::uint32_t {
  none = 0,
  traffic_class = 1,  ///< IPV6_RECVTCLASS
  hop_limit = 2,      ///< IPV6_RECVHOPLIMIT
  source = 4,         ///< The peer's address; it comes with every datagram and costs no control bytes.
  destination = 8,    ///< IPV6_RECVPKTINFO
  interface = 16,     ///< IPV6_RECVPKTINFO, the same kernel option as `destination`
  path_mtu = 32,      ///< IPV6_RECVPATHMTU: reads end with `errc::path_mtu_event`.
  timestamp = 64,     ///< SO_TIMESTAMPNS_NEW: the kernel stamps each arriving datagram. Not in Go.
};

template <>
inline constexpr bool is_flags<control_flags> = true;

/// Every flag there is.
inline constexpr control_flags all_control_flags =
    control_flags::traffic_class | control_flags::hop_limit | control_flags::source | control_flags::destination |
    control_flags::interface | control_flags::path_mtu | control_flags::timestamp;

/// The per-datagram control information of RFC 3542, sections 6 and 11. Go: ipv6.ControlMessage.
///
/// Every field is optional, so that a program can send 0 and tell it from "not given". A datagram that a dual-stack
/// socket receives from an IPv4 peer fills the same fields (TOS, TTL, v4-mapped addresses).
struct URING6_EXPORT control_message {
  /// 0 to 255: six bits DSCP, two bits ECN. IPV6_TCLASS.
  std::optional<int> traffic_class{};
  /// 0 to 255 (1 to 255 to an IPv4 peer). IPV6_HOPLIMIT.
  std::optional<int> hop_limit{};
  /// The interface by which the datagram arrived, or by which it is to leave. IPV6_PKTINFO.
  std::optional<std::uint32_t> interface_index{};
  /// Decoded only: the path MTU towards `destination`, octets, which the kernel delivers without a datagram. A read of
  /// a conn ends with `errc::path_mtu_event` for it. IPV6_PATHMTU.
  std::optional<std::uint32_t> path_mtu{};
  /// To send: the address of this host to send from. On receive: the peer's address.
  std::optional<ip_address> source{};
  /// Receive only: the unicast or multicast address to which the datagram was sent. It never has a zone;
  /// `interface_index` tells the interface.
  std::optional<ip_address> destination{};
  /// To send: the first router. Linux refuses IPV6_NEXTHOP as a control message, so `cmsg::encode` returns
  /// `std::errc::not_supported`.
  std::optional<ip_address> next_hop{};
  /// Receive only: when the kernel got the datagram from the device, by the system's clock, nanoseconds. All
  /// datagrams of a train share one time. SCM_TIMESTAMPNS.
  std::optional<std::chrono::sys_time<std::chrono::nanoseconds>> received_at{};

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

  /// Sets the code point, 0 to 63, and keeps ECN. `cmsg::encode` refuses the traffic class that a value out of range
  /// makes.
  constexpr void set_dscp(int dscp) noexcept {
    traffic_class = dscp >= 0 && dscp <= 63 ? dscp << 2 | ecn().value_or(0) : -1;
  }

  /// Sets ECN, 0 to 3, and keeps the code point. `cmsg::encode` refuses the traffic class that a value out of range
  /// makes.
  constexpr void set_ecn(int ecn) noexcept {
    traffic_class = ecn >= 0 && ecn <= 3 ? dscp().value_or(0) << 2 | ecn : -1;
  }

  /// The control message for an answer (RFC 8085, 5.1.1). The answer leaves by the interface on which the datagram
  /// arrived, and from the address to which the datagram was sent, if that was unicast. The socket chooses everything
  /// else.
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

/// The family of the destination. A v4-mapped destination takes the kernel's IPv4 path, which accepts other control
/// messages than the IPv6 path does, even on the same AF_INET6 socket.
enum class peer_family : std::uint8_t { ipv6, ipv4 };

/// The family in which the kernel sends a datagram to `destination`.
constexpr peer_family family_of(const ip_address& destination) noexcept {
  return destination.is_v4_mapped() ? peer_family::ipv4 : peer_family::ipv6;
}

/// Control messages as bytes: what stands in `msg_control` of sendmsg(2) and recvmsg(2).
namespace cmsg {

/// The bytes that a control message with `payload` bytes of data takes. CMSG_SPACE.
constexpr std::size_t space(std::size_t payload) noexcept {
  constexpr std::size_t unit = sizeof(std::size_t);
  return sizeof(cmsghdr) + (payload + unit - 1) / unit * unit;
}

/// The bytes of control area that a receive with these flags fills, for IPv6 and IPv4 peers. For IPv4 peers the
/// kernel delivers IPV6_PKTINFO as well, so IP_PKTINFO is not needed. Go: len(NewControlMessage(flags)).
constexpr std::size_t space(control_flags flags) noexcept {
  std::size_t total = 0;
  if (has_any(flags, control_flags::traffic_class)) total += space(sizeof(int));
  if (has_any(flags, control_flags::hop_limit)) total += space(sizeof(int));
  if (has_any(flags, control_flags::destination | control_flags::interface)) {
    total += space(sizeof(in6_pktinfo));
  }
  if (has_any(flags, control_flags::path_mtu)) total += space(sizeof(ip6_mtuinfo));
  if (has_any(flags, control_flags::timestamp)) total += space(2 * sizeof(std::int64_t));
  return total;
}

/// The bytes that `encode` writes for `message`, if it accepts the message.
constexpr std::size_t encoded_size(const control_message& message, peer_family peer = peer_family::ipv6) noexcept {
  std::size_t total = 0;
  if (message.traffic_class) total += space(sizeof(int));
  if (message.hop_limit) total += space(sizeof(int));
  if (message.source || message.interface_index) {
    total += space(peer == peer_family::ipv6 ? sizeof(in6_pktinfo) : sizeof(in_pktinfo));
  }
  return total;
}

/// Enough bytes for any control message that can be sent.
inline constexpr std::size_t max_encoded_size = 2 * space(sizeof(int)) + space(sizeof(in6_pktinfo));

/// Writes the control bytes (`msg_control`) that send a datagram with `message`. Allocates nothing. RFC 3542. Go:
/// ControlMessage.Marshal.
///
/// `encode` writes `traffic_class`, `hop_limit`, `source` and `interface_index`, and passes over the fields for
/// receiving: `destination`, `path_mtu` and `received_at`. A source with a zone and no `interface_index` leaves by
/// its zone. For an IPv4 peer the fields become IP_TOS, IP_TTL and IP_PKTINFO.
///
/// Returns the number of bytes written, 0 if no field is given (then set `msg_controllen` to 0). Errors:
/// - `errc::out_of_range`: a traffic class or hop limit outside of 0 to 255, a hop limit of 0 to an IPv4 peer, or an
///   interface index above 2,147,483,647;
/// - `std::errc::address_family_not_supported`: an IPv4 source to an IPv6 peer, or the reverse;
/// - `errc::zone_mismatch`: a source in the zone of another interface than `interface_index`;
/// - `std::errc::not_supported`: a `next_hop`;
/// - `std::errc::no_buffer_space`: `area` is too short; nothing has been written to it.
URING6_EXPORT result<std::size_t> encode(const control_message& message, std::span<std::byte> area,
                                         peer_family peer = peer_family::ipv6) noexcept;

/// Reads control bytes as a receive delivered them. Allocates nothing. RFC 3542. Go: ControlMessage.Parse.
///
/// Any bytes are harmless. `decode` passes over unknown control messages; of repeated ones the last counts. A value
/// outside of its range is "not given", and so is a short value: the kernel cuts the last one when space runs out.
/// `source` is never set: it stands in `msg_name`.
///
/// Errors: `errc::malformed` if a length runs out of `area` or is less than a header. A rest too short for a header
/// is padding.
URING6_EXPORT result<control_message> decode(std::span<const std::byte> area) noexcept;

/// The same, but malformed bytes end the message instead of refusing it: what stands before them counts.
URING6_EXPORT control_message decode_prefix(std::span<const std::byte> area) noexcept;

}  // namespace cmsg

// The names before `cmsg` had its namespace.
[[deprecated("the name is cmsg::space")]] constexpr std::size_t control_space(std::size_t payload) noexcept {
  return cmsg::space(payload);
}
[[deprecated("the name is cmsg::space")]] constexpr std::size_t control_space(control_flags flags) noexcept {
  return cmsg::space(flags);
}
[[deprecated("the name is cmsg::encoded_size")]] constexpr std::size_t encoded_size(
    const control_message& message, peer_family peer = peer_family::ipv6) noexcept {
  return cmsg::encoded_size(message, peer);
}
[[deprecated("the name is cmsg::max_encoded_size")]] inline constexpr std::size_t max_encoded_size =
    cmsg::max_encoded_size;
[[deprecated("the name is cmsg::encode")]] inline result<std::size_t> encode(
    const control_message& message, std::span<std::byte> area, peer_family peer = peer_family::ipv6) noexcept {
  return cmsg::encode(message, area, peer);
}
[[deprecated("the name is cmsg::decode")]] inline result<control_message> decode(
    std::span<const std::byte> area) noexcept {
  return cmsg::decode(area);
}
[[deprecated("the name is cmsg::decode_prefix")]] inline control_message decode_prefix(
    std::span<const std::byte> area) noexcept {
  return cmsg::decode_prefix(area);
}

}  // namespace uring6::inline v0

template <>
struct std::hash<uring6::control_message> {
  std::size_t operator()(const uring6::control_message& of) const noexcept {
    return uring6::detail::hash_of(of.traffic_class, of.hop_limit, of.interface_index, of.path_mtu, of.source,
                                   of.destination, of.next_hop,
                                   of.received_at ? of.received_at->time_since_epoch().count() : -1);
  }
};
