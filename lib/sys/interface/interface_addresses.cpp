#include <linux/rtnetlink.h>

#include "sys/interface/netlink.hpp"
#include "sys/interface/netlink_message.hpp"
#include "uring6/interface.hpp"

namespace uring6::inline v0 {
namespace {

static_assert(static_cast<std::uint32_t>(address_flags::temporary) == IFA_F_TEMPORARY);
static_assert(static_cast<std::uint32_t>(address_flags::optimistic) == IFA_F_OPTIMISTIC);
static_assert(static_cast<std::uint32_t>(address_flags::duplicate) == IFA_F_DADFAILED);
static_assert(static_cast<std::uint32_t>(address_flags::deprecated) == IFA_F_DEPRECATED);
static_assert(static_cast<std::uint32_t>(address_flags::tentative) == IFA_F_TENTATIVE);
static_assert(static_cast<std::uint32_t>(address_flags::permanent) == IFA_F_PERMANENT);
static_assert(static_cast<std::uint32_t>(address_flags::stable_privacy) == IFA_F_STABLE_PRIVACY);
static_assert(static_cast<int>(address_scope::site) == RT_SCOPE_SITE);
static_assert(static_cast<int>(address_scope::link) == RT_SCOPE_LINK);
static_assert(static_cast<int>(address_scope::host) == RT_SCOPE_HOST);

constexpr address_flags every_address_flag =
    address_flags::temporary | address_flags::optimistic | address_flags::duplicate | address_flags::deprecated |
    address_flags::tentative | address_flags::permanent | address_flags::stable_privacy;

constexpr unsigned v4_prefix = 96;  // bits: the prefix length of ::ffff:0:0/96

std::optional<ip_address> address_from(unsigned char family, std::span<const std::byte> value) noexcept {
  if (family == AF_INET6) {
    if (const auto bytes = attribute_as<ip_address::bytes_type>(value)) return ip_address(*bytes);
  } else if (family == AF_INET) {
    if (const auto bytes = attribute_as<ip_address::v4_bytes_type>(value)) return ip_address::v4_mapped(*bytes);
  }
  return std::nullopt;
}

std::optional<std::chrono::seconds> lifetime(std::uint32_t seconds) noexcept {
  constexpr std::uint32_t infinity = 0xffffffff;  // INFINITY_LIFE_TIME
  if (seconds == infinity) return std::nullopt;
  return std::chrono::seconds(seconds);
}

}  // namespace

std::optional<interface_address> parse_interface_address(const nlmsghdr& message) {
  if (message.nlmsg_type != RTM_NEWADDR && message.nlmsg_type != RTM_DELADDR) return std::nullopt;
  const auto* head = netlink_header<ifaddrmsg>(message);
  if (head == nullptr) return std::nullopt;

  std::optional<ip_address> local;
  std::optional<ip_address> other;  // IFA_ADDRESS: the peer's address if there is a local one, else the address itself
  std::uint32_t flags = head->ifa_flags;
  interface_address found;
  for_each_attribute<ifaddrmsg>(message, [&](std::uint16_t type, std::span<const std::byte> value) {
    switch (type) {
      case IFA_LOCAL:
        local = address_from(head->ifa_family, value);
        break;
      case IFA_ADDRESS:
        other = address_from(head->ifa_family, value);
        break;
      case IFA_FLAGS:  // all flags: the header has room for eight bits only
        flags = attribute_as<std::uint32_t>(value).value_or(flags);
        break;
      case IFA_CACHEINFO:
        if (const auto times = attribute_as<ifa_cacheinfo>(value)) {
          found.valid = lifetime(times->ifa_valid);
          found.preferred = lifetime(times->ifa_prefered);
        }
        break;
      default:
        break;
    }
  });
  if (!local) local = other;
  if (!local) return std::nullopt;

  found.interface_index = head->ifa_index;
  const bool scoped = local->is_link_local() && !local->is_v4_mapped();
  found.address = scoped ? local->with_zone(head->ifa_index) : *local;
  found.prefix_length = static_cast<std::uint8_t>(head->ifa_prefixlen + (local->is_v4_mapped() ? v4_prefix : 0));
  found.scope = static_cast<address_scope>(head->ifa_scope);
  found.flags = static_cast<address_flags>(flags) & every_address_flag;
  return found;
}

result<std::vector<interface_address>> interface::all_addresses() {
  netlink_request<ifaddrmsg> request(RTM_GETADDR, NLM_F_DUMP);
  return netlink_dump<interface_address>(request.message(), parse_interface_address);
}

result<std::vector<interface_address>> interface::addresses() const {
  result<std::vector<interface_address>> found = all_addresses();
  if (!found) return found;
  std::erase_if(*found, [this](const interface_address& a) { return a.interface_index != index; });
  if (found->empty()) {
    if (const result<interface> still_there = by_index(index); !still_there) return fail(still_there.error());
  }
  return found;
}

}  // namespace uring6::inline v0
