// The ICMPv6 type registry.
#pragma once

#include "uring6/version.hpp"

#include <cstdint>
#include <string_view>

#include "uring6/export.hpp"

namespace uring6::inline v0 {

/// An ICMPv6 type (IANA's "ICMPv6 Parameters"). Go: ipv6.ICMPType, whose ICMPTypeEchoRequest is
/// `icmp_type::echo_request`. A number without a name here is a valid value.
enum class icmp_type : std::uint8_t {
  destination_unreachable = 1,
  packet_too_big = 2,
  time_exceeded = 3,
  parameter_problem = 4,
  private_experiment_100 = 100,
  private_experiment_101 = 101,
  echo_request = 128,
  echo_reply = 129,
  multicast_listener_query = 130,
  multicast_listener_report = 131,
  multicast_listener_done = 132,
  router_solicitation = 133,
  router_advertisement = 134,
  neighbor_solicitation = 135,
  neighbor_advertisement = 136,
  redirect = 137,
  router_renumbering = 138,
  node_information_query = 139,
  node_information_response = 140,
  inverse_neighbor_discovery_solicitation = 141,
  inverse_neighbor_discovery_advertisement = 142,
  version2_multicast_listener_report = 143,
  home_agent_address_discovery_request = 144,
  home_agent_address_discovery_reply = 145,
  mobile_prefix_solicitation = 146,
  mobile_prefix_advertisement = 147,
  certification_path_solicitation = 148,
  certification_path_advertisement = 149,
  experimental_mobility = 150,
  multicast_router_advertisement = 151,
  multicast_router_solicitation = 152,
  multicast_router_termination = 153,
  fmipv6 = 154,
  rpl_control = 155,
  ilnpv6_locator_update = 156,
  duplicate_address_request = 157,
  duplicate_address_confirmation = 158,
  mpl_control = 159,
  extended_echo_request = 160,
  extended_echo_reply = 161,
  private_experiment_200 = 200,
  private_experiment_201 = 201,
};

/// The name in the registry, in lower case as Go prints it ("echo request"); empty for a type without a name (Go:
/// "<nil>").
URING6_EXPORT std::string_view to_string(icmp_type type) noexcept;

/// Whether the message reports an error (types 0 to 127); the other types are informational (RFC 4443, 2.1).
constexpr bool is_error(icmp_type type) noexcept {
  return static_cast<std::uint8_t>(type) < 128;
}

}  // namespace uring6::inline v0
