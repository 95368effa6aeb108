// Go's network words: what kind of conn is wanted.
#pragma once

#include <cstdint>
#include <string_view>

#include "uring6/protocol.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0::detail {

/// What a packet_conn's socket carries. udp: ports, trains; raw: the payload of IPv6 packets of one protocol; icmp:
/// echo messages, without a privilege (a "ping socket").
enum class packet_kind : std::uint8_t { udp, raw, icmp };

struct packet_network {
  packet_kind kind = packet_kind::udp;
  bool dual_stack = false;
  ip_protocol protocol = ip_protocol::udp;
};

/// "udp6", "udp", "icmp6", "ip6:NAME" or "ip6:NUMBER". Else `errc::unknown_network`.
result<packet_network> parse_packet_network(std::string_view word);

}  // namespace uring6::inline v0::detail
