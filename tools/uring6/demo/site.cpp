#include "demo/site.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace uring6::tool {
namespace {

/// Prefers a link-local address, which every multicast interface has; any other one works, too.
std::optional<ip_address> address_to_send_from(const interface& on) {
  const auto addresses = on.addresses();
  if (!addresses) return std::nullopt;
  std::optional<ip_address> found;
  for (const interface_address& each : *addresses) {
    if (each.address.is_v4_mapped() || each.is(address_flags::duplicate)) continue;
    if (each.is(address_flags::tentative) && !each.is(address_flags::optimistic)) continue;
    if (each.address.is_link_local()) return each.address;
    if (!found) found = each.address;
  }
  return found;
}

}  // namespace

tl::expected<multicast_site, std::string> multicast_site_on(const interface& wanted) {
  const auto lacks = [&wanted](std::string_view what) {
    return tl::unexpected(fmt::format("{} {}", wanted.name, what));
  };
  if (!wanted.is(interface_flags::up)) return lacks("is down");
  if (wanted.is(interface_flags::loopback)) return lacks("is a loopback, which has no multicast routes");
  if (!wanted.is(interface_flags::multicast)) return lacks("cannot do multicast");
  if (!wanted.is(interface_flags::running)) return lacks("has no carrier");
  const auto from = address_to_send_from(wanted);
  if (!from) return lacks("has no usable IPv6 address");
  return multicast_site{wanted, *from};
}

tl::expected<multicast_site, std::string> find_multicast_site() {
  const auto all = interface::all();
  if (!all) return tl::unexpected(fmt::format("the interfaces cannot be listed: {}", all.error().message()));
  std::string reasons;
  for (const interface& each : *all) {
    auto site = multicast_site_on(each);
    if (site) return site;
    fmt::format_to(std::back_inserter(reasons), "{}{}", reasons.empty() ? "" : "; ", site.error());
  }
  return tl::unexpected("no interface will do: " + reasons);
}

}  // namespace uring6::tool
