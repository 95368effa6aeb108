// error_report: what became of a datagram that was sent, as the network or this host says it.
#pragma once

#include "uring6/version.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <system_error>

#include "uring6/address.hpp"

namespace uring6 {

/// Who says it. SO_EE_ORIGIN_*, of which the other numbers come only of options that are set by hand (SO_TIMESTAMPING,
/// SO_TXTIME).
enum class error_origin : std::uint8_t {
  local = 1,  ///< This host, of what it did not send: `error` is EMSGSIZE, ….
  icmp = 2,   ///< An ICMP message, of what was sent to an IPv4 peer.
  icmp6 = 3,  ///< An ICMPv6 message.
};

/// One report from a conn's error queue. Go: missing (golang/go#47926). sock_extended_err
struct error_report {
  /// To be given: where the beginning of the datagram is to go that the report is about. Empty will do.
  std::span<std::byte> buffer;

  // --- Set by `read_errors` ---

  /// What it means: ECONNREFUSED, EHOSTUNREACH, EMSGSIZE, …
  std::error_code error;
  error_origin origin{};
  /// Of the ICMP message (`icmp_type` of `icmp6`); 0 if there is none.
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  /// What the message says besides: the MTU, octets, of EMSGSIZE; the pointer of a parameter problem.
  std::uint32_t info = 0;
  /// Who has sent the message, with the zone of a link-local address; nobody did if the origin is local.
  std::optional<ip_address> offender;
  /// Where the datagram was to go. Its port is 0 where there are none.
  endpoint destination;
  /// The beginning of the datagram's payload, as far as it came back and `buffer` holds it; none of what this host did
  /// not send.
  std::span<std::byte> payload;
  /// More of it came back than `buffer` holds. MSG_TRUNC.
  bool truncated = false;
};

}  // namespace uring6
