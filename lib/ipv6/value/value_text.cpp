#include "uring6/text.hpp"

#include <fmt/format.h>

#include <chrono>
#include <iterator>

#include "ipv6/value/names.hpp"
#include "uring6/address.hpp"
#include "uring6/control_message.hpp"
#include "uring6/header.hpp"
#include "uring6/protocol.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

std::string to_string(const ip_address& address) {
  return address.to_string();
}

std::string to_string(const endpoint& end) {
  return end.to_string();
}

std::string to_string(multicast_scope value) {
  static constexpr detail::named<multicast_scope> names[] = {
      {multicast_scope::interface_local, "interface-local"},
      {multicast_scope::link_local, "link-local"},
      {multicast_scope::realm_local, "realm-local"},
      {multicast_scope::admin_local, "admin-local"},
      {multicast_scope::site_local, "site-local"},
      {multicast_scope::organization_local, "organization-local"},
      {multicast_scope::global, "global"},
  };
  return detail::name_of<multicast_scope>(value, names);
}

std::string to_string(peer_family value) {
  static constexpr detail::named<peer_family> names[] = {
      {peer_family::ipv6, "ipv6"},
      {peer_family::ipv4, "ipv4"},
  };
  return detail::name_of<peer_family>(value, names);
}

std::string to_string(control_flags flags) {
  static constexpr detail::named<control_flags> names[] = {
      {control_flags::traffic_class, "traffic_class"},
      {control_flags::hop_limit, "hop_limit"},
      {control_flags::source, "source"},
      {control_flags::destination, "destination"},
      {control_flags::interface, "interface"},
      {control_flags::path_mtu, "path_mtu"},
      {control_flags::timestamp, "timestamp"},
  };
  return detail::names_of<control_flags>(flags, names);
}

std::string to_string(const control_message& message) {
  std::string text;
  const auto field = [&text](fmt::string_view how, const auto& value) {
    if (!text.empty()) text += ' ';
    fmt::format_to(std::back_inserter(text), fmt::runtime(how), value);
  };
  if (message.traffic_class) field("tclass={:#x}", *message.traffic_class);
  if (message.hop_limit) field("hoplim={}", *message.hop_limit);
  if (message.source) field("src={}", message.source->to_string());
  if (message.destination) field("dst={}", message.destination->to_string());
  if (message.interface_index) field("ifindex={}", *message.interface_index);
  if (message.next_hop) field("nexthop={}", message.next_hop->to_string());
  if (message.path_mtu) field("mtu={}", *message.path_mtu);
  if (message.received_at) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(*message.received_at);
    field("time={}", seconds.time_since_epoch().count());
    fmt::format_to(std::back_inserter(text), ".{:09}", (*message.received_at - seconds).count());
  }
  return text.empty() ? "none" : text;
}

namespace {

std::string text_of(ip_protocol protocol) {
  const std::string_view name = to_string(protocol);
  return name.empty() ? fmt::format("{}", static_cast<unsigned>(protocol)) : std::string(name);
}

}  // namespace

std::string to_string(const fragment_header& of) {
  return fmt::format("fragment id={:#x} offset={}{}", of.identification, of.offset, of.more ? " more" : "");
}

std::string to_string(const extension_header& of) {
  return fmt::format("{} at {} octets={} next={}", text_of(of.type), of.offset, of.bytes.size(),
                     text_of(of.next_header));
}

std::string to_string(const upper_layer& of) {
  std::string text = fmt::format("{} at {} octets={}", text_of(of.protocol), of.offset, of.payload.size());
  if (of.fragment) text += ' ' + to_string(*of.fragment);
  return text;
}

std::string to_string(errc code) {
  return make_error_code(code).message();
}

}  // namespace uring6::inline v0
