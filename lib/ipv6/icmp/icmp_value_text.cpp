#include <fmt/format.h>

#include <string_view>

#include "ipv6/value/names.hpp"
#include "uring6/icmp/extension.hpp"
#include "uring6/icmp/filter.hpp"
#include "uring6/icmp/option.hpp"
#include "uring6/icmp/type.hpp"
#include "uring6/text.hpp"

namespace uring6::inline v0 {

std::string to_string(const icmp_filter& filter) {
  constexpr unsigned types = 256;
  unsigned blocked = 0;
  for (unsigned type = 0; type < types; ++type) blocked += filter.will_block(static_cast<icmp_type>(type));
  if (blocked == 0 || blocked == types) return blocked == 0 ? "accepts all" : "accepts none";
  const bool lists_blocked = blocked <= types / 2;  // the shorter list of the two
  std::string text = lists_blocked ? "blocks" : "accepts";
  std::string_view before = " ";
  for (unsigned type = 0; type < types; ++type) {
    if (filter.will_block(static_cast<icmp_type>(type)) != lists_blocked) continue;
    const std::string_view words = to_string(static_cast<icmp_type>(type));
    text += before;
    text += words.empty() ? fmt::format("{}", type) : std::string(words);
    before = ", ";
  }
  return text;
}

namespace icmp {

std::string to_string(option_type value) {
  static constexpr uring6::detail::named<option_type> names[] = {
      {option_type::source_link_layer_address, "source_link_layer_address"},
      {option_type::target_link_layer_address, "target_link_layer_address"},
      {option_type::prefix_information, "prefix_information"},
      {option_type::redirected_header, "redirected_header"},
      {option_type::mtu, "mtu"},
      {option_type::nonce, "nonce"},
      {option_type::route_information, "route_information"},
      {option_type::recursive_dns_servers, "recursive_dns_servers"},
      {option_type::flags_extension, "flags_extension"},
      {option_type::dns_search_list, "dns_search_list"},
      {option_type::captive_portal, "captive_portal"},
      {option_type::pref64, "pref64"},
  };
  return uring6::detail::name_of<option_type>(value, names);
}

std::string to_string(interface_role value) {
  static constexpr uring6::detail::named<interface_role> names[] = {
      {interface_role::incoming, "incoming"},
      {interface_role::incoming_sub_ip, "incoming_sub_ip"},
      {interface_role::outgoing, "outgoing"},
      {interface_role::next_hop, "next_hop"},
  };
  return uring6::detail::name_of<interface_role>(value, names);
}

std::string to_string(const interface_by_name& by) {
  return to_string(extension(interface_ident{by}));
}

std::string to_string(const interface_by_index& by) {
  return to_string(extension(interface_ident{by}));
}

std::string to_string(const interface_by_address& by) {
  return to_string(extension(interface_ident{by}));
}

std::string to_string(const mpls_label& of) {
  return fmt::format("label={} tc={} ttl={}{}", of.label, of.traffic_class, of.ttl,
                     of.bottom_of_stack ? " bottom" : "");
}

}  // namespace icmp
}  // namespace uring6::inline v0
