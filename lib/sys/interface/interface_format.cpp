#include <fmt/format.h>

#include <iterator>

#include "ipv6/value/names.hpp"
#include "uring6/interface.hpp"

namespace uring6::inline v0 {

std::string to_string(interface_flags flags) {
  using enum interface_flags;
  static constexpr detail::named<interface_flags> names[] = {
      {up, "up"},
      {broadcast, "broadcast"},
      {loopback, "loopback"},
      {point_to_point, "point_to_point"},
      {multicast, "multicast"},
      {running, "running"},
  };
  return detail::names_of<interface_flags>(flags, names);
}

std::string to_string(address_flags flags) {
  using enum address_flags;
  static constexpr detail::named<address_flags> names[] = {
      {permanent, "permanent"},   {temporary, "temporary"}, {stable_privacy, "stable_privacy"},
      {deprecated, "deprecated"}, {tentative, "tentative"}, {optimistic, "optimistic"},
      {duplicate, "duplicate"},
  };
  return detail::names_of<address_flags>(flags, names);
}

std::string to_string(const interface_address& one) {
  return fmt::format("{}/{}", one.address.to_string(), one.prefix_length);
}

std::string to_string(const interface& one) {
  std::string text = fmt::format("{}: {} <{}> mtu {}", one.index, one.name, to_string(one.flags), one.mtu);
  char separator = ' ';
  for (const std::uint8_t octet : one.hardware_address) {
    fmt::format_to(std::back_inserter(text), "{}{:02x}", separator, octet);
    separator = ':';
  }
  return text;
}

}  // namespace uring6::inline v0
