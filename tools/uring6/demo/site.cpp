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

std::optional<multicast_site> multicast_site_on(const interface& wanted, std::string& why_not) {
  const auto lacks = [&](std::string_view what) {
    why_not = fmt::format("{} {}", wanted.name, what);
    return std::nullopt;
  };
  if (!wanted.is(interface_flags::up)) return lacks("is down");
  if (wanted.is(interface_flags::loopback)) return lacks("is a loopback, which has no multicast routes");
  if (!wanted.is(interface_flags::multicast)) return lacks("cannot do multicast");
  if (!wanted.is(interface_flags::running)) return lacks("has no carrier");
  const auto from = address_to_send_from(wanted);
  if (!from) return lacks("has no usable IPv6 address");
  return multicast_site{wanted, *from};
}

std::optional<multicast_site> find_multicast_site(std::string& why_not) {
  const auto all = interface::all();
  if (!all) {
    why_not = fmt::format("the interfaces cannot be listed: {}", all.error().message());
    return std::nullopt;
  }
  std::string reasons;
  for (const interface& each : *all) {
    std::string reason;
    if (auto site = multicast_site_on(each, reason)) return site;
    fmt::format_to(std::back_inserter(reasons), "{}{}", reasons.empty() ? "" : "; ", reason);
  }
  why_not = "no interface will do: " + reasons;
  return std::nullopt;
}

}  // namespace uring6::tool
