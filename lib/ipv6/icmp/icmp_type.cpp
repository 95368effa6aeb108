#include "uring6/icmp/type.hpp"

namespace uring6::inline v0 {

std::string_view to_string(icmp_type type) noexcept {
  switch (type) {
    case icmp_type::destination_unreachable:
      return "destination unreachable";
    case icmp_type::packet_too_big:
      return "packet too big";
    case icmp_type::time_exceeded:
      return "time exceeded";
    case icmp_type::parameter_problem:
      return "parameter problem";
    case icmp_type::private_experiment_100:
    case icmp_type::private_experiment_101:
    case icmp_type::private_experiment_200:
    case icmp_type::private_experiment_201:
      return "private experimentation";
    case icmp_type::echo_request:
      return "echo request";
    case icmp_type::echo_reply:
      return "echo reply";
    case icmp_type::multicast_listener_query:
      return "multicast listener query";
    case icmp_type::multicast_listener_report:
      return "multicast listener report";
    case icmp_type::multicast_listener_done:
      return "multicast listener done";
    case icmp_type::router_solicitation:
      return "router solicitation";
    case icmp_type::router_advertisement:
      return "router advertisement";
    case icmp_type::neighbor_solicitation:
      return "neighbor solicitation";
    case icmp_type::neighbor_advertisement:
      return "neighbor advertisement";
    case icmp_type::redirect:
      return "redirect message";
    case icmp_type::router_renumbering:
      return "router renumbering";
    case icmp_type::node_information_query:
      return "icmp node information query";
    case icmp_type::node_information_response:
      return "icmp node information response";
    case icmp_type::inverse_neighbor_discovery_solicitation:
      return "inverse neighbor discovery solicitation message";
    case icmp_type::inverse_neighbor_discovery_advertisement:
      return "inverse neighbor discovery advertisement message";
    case icmp_type::version2_multicast_listener_report:
      return "version 2 multicast listener report";
    case icmp_type::home_agent_address_discovery_request:
      return "home agent address discovery request message";
    case icmp_type::home_agent_address_discovery_reply:
      return "home agent address discovery reply message";
    case icmp_type::mobile_prefix_solicitation:
      return "mobile prefix solicitation";
    case icmp_type::mobile_prefix_advertisement:
      return "mobile prefix advertisement";
    case icmp_type::certification_path_solicitation:
      return "certification path solicitation message";
    case icmp_type::certification_path_advertisement:
      return "certification path advertisement message";
    case icmp_type::experimental_mobility:
      return "experimental mobility protocols";
    case icmp_type::multicast_router_advertisement:
      return "multicast router advertisement";
    case icmp_type::multicast_router_solicitation:
      return "multicast router solicitation";
    case icmp_type::multicast_router_termination:
      return "multicast router termination";
    case icmp_type::fmipv6:
      return "fmipv6 messages";
    case icmp_type::rpl_control:
      return "rpl control message";
    case icmp_type::ilnpv6_locator_update:
      return "ilnpv6 locator update message";
    case icmp_type::duplicate_address_request:
      return "duplicate address request";
    case icmp_type::duplicate_address_confirmation:
      return "duplicate address confirmation";
    case icmp_type::mpl_control:
      return "mpl control message";
    case icmp_type::extended_echo_request:
      return "extended echo request";
    case icmp_type::extended_echo_reply:
      return "extended echo reply";
  }
  return {};
}

}  // namespace uring6::inline v0
