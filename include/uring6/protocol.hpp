// The protocol numbers of IPv6's next header field.
#pragma once

#include "uring6/version.hpp"

#include <cstdint>
#include <string_view>

#include "uring6/export.hpp"

namespace uring6::inline v0 {

/// What follows an IPv6 header: an extension header or the upper layer (IANA's "Assigned Internet Protocol Numbers",
/// IPPROTO_*). A number without a name here is a valid value.
enum class ip_protocol : std::uint8_t {
  hop_by_hop = 0,
  icmp = 1,
  igmp = 2,
  ipv4 = 4,
  tcp = 6,
  udp = 17,
  dccp = 33,
  ipv6 = 41,
  routing = 43,
  fragment = 44,
  rsvp = 46,
  gre = 47,
  esp = 50,
  ah = 51,
  icmpv6 = 58,
  no_next_header = 59,
  destination_options = 60,
  eigrp = 88,
  ospf = 89,
  pim = 103,
  vrrp = 112,
  l2tp = 115,
  sctp = 132,
  mobility = 135,
  udp_lite = 136,
  mpls = 137,
  manet = 138,
  hip = 139,
  shim6 = 140,
  ethernet = 143,
  experiment_1 = 253,
  experiment_2 = 254,
  raw = 255,  ///< Reserved. A raw socket on Linux takes it as "any protocol".
};

/// The name in /etc/protocols and in Go's network words ("ipv6-icmp", "udp"); empty for a number that has
/// none.
URING6_EXPORT std::string_view to_string(ip_protocol protocol) noexcept;

/// Whether the protocol is an extension header that `header_walk` can step over: hop-by-hop and destination options,
/// routing, fragment, authentication, mobility, HIP and Shim6. ESP is not, because what follows it is encrypted.
constexpr bool is_extension_header(ip_protocol protocol) noexcept {
  switch (protocol) {
    case ip_protocol::hop_by_hop:
    case ip_protocol::routing:
    case ip_protocol::fragment:
    case ip_protocol::ah:
    case ip_protocol::destination_options:
    case ip_protocol::mobility:
    case ip_protocol::hip:
    case ip_protocol::shim6:
      return true;
    default:
      return false;
  }
}

}  // namespace uring6::inline v0
