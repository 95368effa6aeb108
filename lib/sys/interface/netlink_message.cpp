#include "sys/interface/netlink_message.hpp"

#include <linux/rtnetlink.h>

#include <algorithm>

namespace uring6::inline v0 {
namespace {

constexpr unsigned v4_in_v6 = 96;  // bits: the prefix length of ::ffff:0:0/96

std::optional<ip_address> route_address(unsigned char family, std::span<const std::byte> value) noexcept {
  if (family == AF_INET6) {
    if (const auto bytes = attribute_as<ip_address::bytes_type>(value)) return ip_address(*bytes);
  } else if (const auto bytes = attribute_as<ip_address::v4_bytes_type>(value)) {
    return ip_address::v4_mapped(*bytes);
  }
  return std::nullopt;
}

// RTA_METRICS nests its own attributes, of which RTAX_MTU is the route's MTU.
std::uint32_t mtu_among(std::span<const std::byte> metrics) noexcept {
  std::uint32_t mtu = 0;
  while (metrics.size() >= sizeof(nlattr)) {
    const auto head = attribute_as<nlattr>(metrics);
    if (head->nla_len < sizeof(nlattr) || head->nla_len > metrics.size()) break;
    if ((head->nla_type & NLA_TYPE_MASK) == RTAX_MTU) {
      mtu = attribute_as<std::uint32_t>(metrics.subspan(sizeof(nlattr), head->nla_len - sizeof(nlattr))).value_or(mtu);
    }
    metrics = metrics.subspan(std::min<std::size_t>(NLA_ALIGN(head->nla_len), metrics.size()));
  }
  return mtu;
}

}  // namespace

std::optional<interface_event> parse_route(const nlmsghdr& message) noexcept {
  if (message.nlmsg_type != RTM_NEWROUTE && message.nlmsg_type != RTM_DELROUTE) return std::nullopt;
  const auto* head = netlink_header<rtmsg>(message);
  if (head == nullptr || (head->rtm_family != AF_INET && head->rtm_family != AF_INET6)) return std::nullopt;
  if ((head->rtm_flags & RTM_F_CLONED) != 0) return std::nullopt;

  const bool is_v4 = head->rtm_family == AF_INET;
  std::uint32_t table = head->rtm_table;
  interface_event route;
  route.what = message.nlmsg_type == RTM_NEWROUTE ? interface_change::route_added : interface_change::route_removed;
  if (is_v4) route.address = ip_address::v4_mapped({});  // 0.0.0.0, of a default route
  route.prefix_length = static_cast<std::uint8_t>(head->rtm_dst_len + (is_v4 ? v4_in_v6 : 0));
  for_each_attribute<rtmsg>(message, [&](std::uint16_t type, std::span<const std::byte> value) {
    switch (type) {
      case RTA_DST:
        route.address = route_address(head->rtm_family, value).value_or(route.address);
        break;
      case RTA_GATEWAY:
        route.gateway = route_address(head->rtm_family, value).value_or(route.gateway);
        break;
      case RTA_OIF:
        route.interface_index = attribute_as<std::uint32_t>(value).value_or(0);
        break;
      case RTA_TABLE:  // the header has room for numbers up to 255 only
        table = attribute_as<std::uint32_t>(value).value_or(table);
        break;
      case RTA_METRICS:
        route.mtu = mtu_among(value);
        break;
      default:
        break;
    }
  });
  if (table == RT_TABLE_LOCAL) return std::nullopt;
  return route;
}

std::optional<listed_group> parse_group(const nlmsghdr& message) noexcept {
  const std::uint16_t type = message.nlmsg_type;  // an answer has the request's
  if (type != RTM_GETMULTICAST && type != group_joined_message && type != group_left_message) return std::nullopt;
  const auto* head = netlink_header<ifaddrmsg>(message);
  if (head == nullptr || head->ifa_family != AF_INET6) return std::nullopt;
  std::optional<listed_group> found;
  for_each_attribute<ifaddrmsg>(message, [&](std::uint16_t which, std::span<const std::byte> value) {
    if (which != IFA_MULTICAST) return;
    if (const auto bytes = attribute_as<ip_address::bytes_type>(value)) {
      found = listed_group{head->ifa_index, ip_address(*bytes)};
    }
  });
  return found;
}

}  // namespace uring6::inline v0
