#include "uring6/protocol.hpp"

namespace uring6::inline v0 {

std::string_view to_string(ip_protocol protocol) noexcept {
  switch (protocol) {
    case ip_protocol::hop_by_hop:
      return "hopopt";
    case ip_protocol::icmp:
      return "icmp";
    case ip_protocol::igmp:
      return "igmp";
    case ip_protocol::ipv4:
      return "ipencap";
    case ip_protocol::tcp:
      return "tcp";
    case ip_protocol::udp:
      return "udp";
    case ip_protocol::dccp:
      return "dccp";
    case ip_protocol::ipv6:
      return "ipv6";
    case ip_protocol::routing:
      return "ipv6-route";
    case ip_protocol::fragment:
      return "ipv6-frag";
    case ip_protocol::rsvp:
      return "rsvp";
    case ip_protocol::gre:
      return "gre";
    case ip_protocol::esp:
      return "esp";
    case ip_protocol::ah:
      return "ah";
    case ip_protocol::icmpv6:
      return "ipv6-icmp";
    case ip_protocol::no_next_header:
      return "ipv6-nonxt";
    case ip_protocol::destination_options:
      return "ipv6-opts";
    case ip_protocol::eigrp:
      return "eigrp";
    case ip_protocol::ospf:
      return "ospf";
    case ip_protocol::pim:
      return "pim";
    case ip_protocol::vrrp:
      return "vrrp";
    case ip_protocol::l2tp:
      return "l2tp";
    case ip_protocol::sctp:
      return "sctp";
    case ip_protocol::mobility:
      return "mobility-header";
    case ip_protocol::udp_lite:
      return "udplite";
    case ip_protocol::mpls:
      return "mpls-in-ip";
    case ip_protocol::manet:
      return "manet";
    case ip_protocol::hip:
      return "hip";
    case ip_protocol::shim6:
      return "shim6";
    case ip_protocol::ethernet:
      return "ethernet";
    case ip_protocol::experiment_1:
    case ip_protocol::experiment_2:
    case ip_protocol::raw:
      break;
  }
  return {};
}

}  // namespace uring6::inline v0
