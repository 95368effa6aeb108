#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>

#include <algorithm>
#include <limits>

#include "sys/failure/failure_note.hpp"
#include "sys/interface/netlink.hpp"
#include "sys/interface/netlink_message.hpp"
#include "uring6/interface.hpp"

namespace uring6::inline v0 {
namespace {

static_assert(static_cast<std::uint32_t>(interface_flags::up) == IFF_UP);
static_assert(static_cast<std::uint32_t>(interface_flags::broadcast) == IFF_BROADCAST);
static_assert(static_cast<std::uint32_t>(interface_flags::loopback) == IFF_LOOPBACK);
static_assert(static_cast<std::uint32_t>(interface_flags::point_to_point) == IFF_POINTOPOINT);
static_assert(static_cast<std::uint32_t>(interface_flags::running) == IFF_RUNNING);
static_assert(static_cast<std::uint32_t>(interface_flags::multicast) == IFF_MULTICAST);

constexpr interface_flags every_interface_flag = interface_flags::up | interface_flags::broadcast |
                                                 interface_flags::loopback | interface_flags::point_to_point |
                                                 interface_flags::running | interface_flags::multicast;

// Is the link address of this type the IP address of a tunnel, and no hardware address?
bool is_tunnel(unsigned short type) noexcept {
  constexpr unsigned short ip6gre = 823;  // ARPHRD_IP6GRE, which glibc does not define
  return type == ARPHRD_TUNNEL || type == ARPHRD_TUNNEL6 || type == ARPHRD_SIT || type == ARPHRD_IPGRE ||
         type == ip6gre;
}

}  // namespace

std::optional<interface> parse_interface(const nlmsghdr& message) {
  if (message.nlmsg_type != RTM_NEWLINK && message.nlmsg_type != RTM_DELLINK) return std::nullopt;
  const auto* head = netlink_header<ifinfomsg>(message);
  if (head == nullptr || head->ifi_family != AF_UNSPEC) return std::nullopt;
  interface link;
  link.index = static_cast<std::uint32_t>(head->ifi_index);
  link.flags = static_cast<interface_flags>(head->ifi_flags) & every_interface_flag;
  for_each_attribute<ifinfomsg>(message, [&](std::uint16_t type, std::span<const std::byte> value) {
    const auto* text = reinterpret_cast<const char*>(value.data());
    const auto* octets = reinterpret_cast<const std::uint8_t*>(value.data());
    switch (type) {
      case IFLA_IFNAME:
        link.name.assign(text, ::strnlen(text, value.size()));
        break;
      case IFLA_MTU:
        link.mtu = attribute_as<std::uint32_t>(value).value_or(0);
        break;
      case IFLA_ADDRESS:
        if (is_tunnel(head->ifi_type) || std::all_of(octets, octets + value.size(), [](auto o) { return o == 0; }))
          break;
        link.hardware_address.assign(octets, octets + value.size());
        break;
      default:
        break;
    }
  });
  return link;
}

namespace {

// Asks the kernel to leave out counters and virtual functions, which this library does not use and which can be most of
// the answer.
void skip_statistics(nlmsghdr* request) noexcept {
  mnl_attr_put_u32(request, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

result<interface> one_link(nlmsghdr* request) {
  std::optional<interface> found;
  const result<void> asked = netlink_ask(request, [&](const nlmsghdr& answer) {
    if (std::optional<interface> link = parse_interface(answer)) found = *std::move(link);
  });
  if (!asked) {
    if (asked.error() == std::errc::no_such_device) return fail(errc::unknown_zone);
    return fail(asked.error());
  }
  if (!found) return fail(errc::unknown_zone);
  return *std::move(found);
}

}  // namespace

result<std::vector<interface>> interface::all() {
  netlink_request<ifinfomsg> request(RTM_GETLINK, NLM_F_DUMP);
  skip_statistics(request.message());
  return netlink_dump<interface>(request.message(), parse_interface);
}

namespace {

result<interface> find_by_name(std::string_view name) {
  // Alternative names may be longer than IFNAMSIZ. The kernel searches both kinds of names under either attribute.
  constexpr std::size_t longest = 127;  // octets: ALTIFNAMSIZ without the final NUL
  if (name.empty() || name.size() > longest || name.find('\0') != name.npos) return fail(errc::unknown_zone);
  const bool fits = name.size() < IFNAMSIZ;
  netlink_request<ifinfomsg> request(RTM_GETLINK, NLM_F_ACK);
  mnl_attr_put_strz(request.message(), fits ? IFLA_IFNAME : IFLA_ALT_IFNAME, std::string(name).c_str());
  skip_statistics(request.message());
  return one_link(request.message());
}

result<interface> find_by_index(std::uint32_t index) {
  if (index == 0 || index > static_cast<std::uint32_t>(std::numeric_limits<int>::max()))
    return fail(errc::unknown_zone);
  netlink_request<ifinfomsg> request(RTM_GETLINK, NLM_F_ACK);
  request->ifi_index = static_cast<int>(index);
  skip_statistics(request.message());
  return one_link(request.message());
}

}  // namespace

result<interface> interface::by_name(std::string_view name) {
  return detail::noted(find_by_name(name), "interface", [=] { return std::string(name); });
}
result<interface> interface::by_index(std::uint32_t index) {
  return detail::noted(find_by_index(index), "interface", [=] { return std::to_string(index); });
}

}  // namespace uring6::inline v0
