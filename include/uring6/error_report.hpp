// error_report, path_mtu_event: what the network or this host reports about a datagram that was sent.
#pragma once

#include "uring6/version.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <system_error>

#include "uring6/address.hpp"
#include "uring6/detail/hash.hpp"

namespace uring6::inline v0 {

/// The origin of a report. SO_EE_ORIGIN_*. Its other numbers come only from options that a program sets itself
/// (SO_TIMESTAMPING, SO_TXTIME).
enum class error_origin : std::uint8_t {
  local = 1,  ///< This host, about a datagram that it did not send: `error` is EMSGSIZE, ….
  icmp = 2,   ///< An ICMP message, about a datagram to an IPv4 peer.
  icmp6 = 3,  ///< An ICMPv6 message.
};

/// One report from a conn's error queue. Go: missing (golang/go#47926). sock_extended_err
struct error_report {
  /// Set by the caller: receives the beginning of the reported datagram. May be empty.
  std::span<std::byte> buffer{};

  // --- Set by `read_errors` ---

  /// The error: ECONNREFUSED, EHOSTUNREACH, EMSGSIZE, …
  std::error_code error{};
  error_origin origin{};
  /// The type of the ICMP message (`icmp_type` if the origin is `icmp6`); 0 if there is no message.
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  /// A value of the message: for EMSGSIZE the MTU, octets; for a parameter problem the pointer, octets.
  std::uint32_t info = 0;
  /// The sender of the ICMP message, with the zone of a link-local address; nullopt if the origin is `local`.
  std::optional<ip_address> offender{};
  /// The destination of the datagram. The port is 0 if the protocol has none.
  endpoint destination{};
  /// The beginning of the datagram's payload, as far as the message quotes it and `buffer` holds it. Empty for a
  /// datagram that this host did not send.
  std::span<std::byte> payload{};
  /// The message quotes more than `buffer` holds. MSG_TRUNC.
  bool truncated = false;
};

/// The news that a datagram of this conn was longer than the MTU of its path. struct ip6_mtuinfo
struct path_mtu_event {
  std::uint32_t mtu = 0;     ///< Of the path to `destination`, octets.
  ip_address destination{};  ///< Of the datagram; with its zone if it is link-local.

  friend bool operator==(const path_mtu_event&, const path_mtu_event&) noexcept = default;
};

}  // namespace uring6::inline v0

template <>
struct std::hash<uring6::path_mtu_event> {
  std::size_t operator()(const uring6::path_mtu_event& of) const noexcept {
    return uring6::detail::hash_of(of.mtu, of.destination);
  }
};
