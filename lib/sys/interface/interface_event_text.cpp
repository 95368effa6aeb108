#include <fmt/format.h>

#include "ipv6/value/names.hpp"
#include "uring6/interface_event.hpp"

namespace uring6::inline v0 {

std::string to_string(interface_change what) {
  using enum interface_change;
  static constexpr detail::named<interface_change> names[] = {
      {created, "created"},
      {removed, "removed"},
      {renamed, "renamed"},
      {up, "up"},
      {down, "down"},
      {running, "running"},
      {stopped, "stopped"},
      {mtu, "mtu"},
      {hardware_address, "hardware_address"},
      {address_added, "address_added"},
      {address_removed, "address_removed"},
      {address_usable, "address_usable"},
      {address_unusable, "address_unusable"},
      {address_duplicate, "address_duplicate"},
      {address_deprecated, "address_deprecated"},
      {address_preferred, "address_preferred"},
      {route_added, "route_added"},
      {route_removed, "route_removed"},
      {overrun, "overrun"},
      {synchronized, "synchronized"},
  };
  return detail::name_of<interface_change>(what, names);
}

std::string to_string(const interface_name& name) {
  return std::string(name.view());
}

std::string to_string(const interface_event& event) {
  using enum interface_change;
  std::string text = to_string(event.what);
  const auto add = [&]<class... Values>(fmt::format_string<Values...> with, Values&&... values) {
    text += fmt::format(with, std::forward<Values>(values)...);
  };
  if (!event.name.view().empty()) add(" {}", event.name.view());
  if (event.what == renamed) add(" (was {})", event.previous_name.view());
  if (event.interface_index != 0) add(" ifindex={}", event.interface_index);
  const bool is_route = event.what == route_added || event.what == route_removed;
  if (event.what == created || event.what == mtu || (is_route && event.mtu != 0)) add(" mtu={}", event.mtu);
  if (is_route || (event.what >= address_added && event.what < route_added)) {
    add(" {}/{}", event.address.to_string(), event.prefix_length);
  }
  if (event.address_state != address_flags::none) add(" {}", to_string(event.address_state));
  if (!event.gateway.is_unspecified()) add(" via {}", event.gateway.to_string());
  return text;
}

}  // namespace uring6::inline v0
