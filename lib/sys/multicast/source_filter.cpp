#include "sys/multicast/source_filter.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <cassert>

#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#include "sys/multicast/group_request.hpp"
#include "sys/multicast/membership.hpp"
#include "sys/multicast/stale_membership.hpp"

namespace uring6::inline v0 {
namespace {

static_assert(static_cast<std::uint32_t>(filter_mode::exclude) == MCAST_EXCLUDE);
static_assert(static_cast<std::uint32_t>(filter_mode::include) == MCAST_INCLUDE);

// Writes the kernel's group_filter of the socket's membership into `area`, which has room for so many sources. The
// kernel's error.
result<group_filter> get_filter(int fd, std::uint32_t index, const ip_address& group, std::span<std::byte> area,
                                std::uint32_t room_for) noexcept {
  assert(area.size() >= GROUP_FILTER_SIZE(room_for) && "the kernel writes so many sources");
  group_filter filter;
  std::memset(&filter, 0, sizeof filter);  // the padding, too: the kernel is given all octets
  filter.gf_interface = index;
  filter.gf_group = as_storage(group);
  filter.gf_numsrc = room_for;
  std::memcpy(area.data(), &filter, GROUP_FILTER_SIZE(0));
  auto length = static_cast<socklen_t>(area.size());
  if (::getsockopt(fd, level_of(group), MCAST_MSFILTER, area.data(), &length) != 0) return fail_errno(errno);
  std::memcpy(&filter, area.data(), GROUP_FILTER_SIZE(0));
  return filter;
}

ip_address from_storage(const sockaddr_storage& storage) noexcept {
  if (storage.ss_family == AF_INET) {
    sockaddr_in name;
    std::memcpy(&name, &storage, sizeof name);
    return ip_address::v4_mapped(std::bit_cast<ip_address::v4_bytes_type>(name.sin_addr));
  }
  sockaddr_in6 name;
  std::memcpy(&name, &storage, sizeof name);
  return ip_address(std::bit_cast<ip_address::bytes_type>(name.sin6_addr));
}

result<void> check_sources(const ip_address& group, const std::vector<ip_address>& sources) noexcept {
  for (const ip_address& each : sources) {
    if (each.is_v4_mapped() != group.is_v4_mapped()) return fail(std::errc::address_family_not_supported);
    if (!each.is_unicast()) return fail(std::errc::invalid_argument);
  }
  return {};
}

std::vector<std::byte> kernel_filter(std::uint32_t index, const ip_address& group, const source_filter& filter) {
  std::vector<std::byte> area(GROUP_FILTER_SIZE(filter.sources.size()));
  group_filter head;
  std::memset(&head, 0, sizeof head);  // the padding, too
  head.gf_interface = index;
  head.gf_group = as_storage(group);
  head.gf_fmode = static_cast<std::uint32_t>(filter.mode);
  head.gf_numsrc = static_cast<std::uint32_t>(filter.sources.size());
  std::memcpy(area.data(), &head, GROUP_FILTER_SIZE(0));
  std::byte* at = area.data() + GROUP_FILTER_SIZE(0);
  for (const ip_address& each : filter.sources) {
    const sockaddr_storage source = as_storage(each);
    std::memcpy(at, &source, sizeof source);
    at += sizeof source;
  }
  return area;
}

// Joins the group for a part of what the filter lets through: the kernel sets the filter of a joined group only.
result<void> join_for(int fd, std::uint32_t index, const ip_address& group, const source_filter& filter) {
  if (filter.mode == filter_mode::exclude) return join_group(fd, index, group);
  assert(!filter.sources.empty() && "such a filter leaves the group");
  return join_source_specific_group(fd, index, group, filter.sources.front());
}

// A filter that no membership has: the group is left.
result<void> leave_if_joined(int fd, std::uint32_t index, const ip_address& group) noexcept {
  const result<void> left = leave_group(fd, index, group);
  return !left && left.error() == errc::not_joined ? result<void>() : left;
}

result<std::uint32_t> one_interface(int fd, std::uint32_t index, const ip_address& group) noexcept {
  const result<std::uint32_t> chosen = check_group(fd, index, group);
  if (chosen && *chosen == 0) return fail(errc::unknown_zone);
  return chosen;
}

}  // namespace

bool has_membership(int fd, std::uint32_t interface_index, const ip_address& group) noexcept {
  alignas(group_filter) std::array<std::byte, GROUP_FILTER_SIZE(1)> area{};
  return get_filter(fd, interface_index, group, area, 0).has_value();
}

result<source_filter> get_source_filter(int fd, std::uint32_t interface_index, const ip_address& group) {
  const result<std::uint32_t> index = one_interface(fd, interface_index, group);
  if (!index) return fail(index.error());
  // net.ipv6.mld_max_msf by default. If there are more sources, the kernel returns their number, and the loop asks
  // again.
  constexpr std::uint32_t sources_at_first = 64;
  std::uint32_t room = sources_at_first;
  for (;;) {
    std::vector<std::byte> area(GROUP_FILTER_SIZE(room));
    const result<group_filter> head = get_filter(fd, *index, group, area, room);
    if (!head) {
      if (head.error() == std::errc::address_not_available) return fail(errc::not_joined);
      return fail(head.error());
    }
    if (head->gf_numsrc > room) {
      room = head->gf_numsrc;
      continue;
    }
    source_filter found{.mode = static_cast<filter_mode>(head->gf_fmode)};
    found.sources.reserve(head->gf_numsrc);
    for (std::uint32_t i = 0; i < head->gf_numsrc; ++i) {
      sockaddr_storage source;
      std::memcpy(&source, area.data() + GROUP_FILTER_SIZE(i), sizeof source);
      found.sources.push_back(from_storage(source));
    }
    return found;
  }
}

result<void> set_source_filter(int fd, std::uint32_t interface_index, const ip_address& group,
                               const source_filter& filter) {
  const result<std::uint32_t> index = one_interface(fd, interface_index, group);
  if (!index) return fail(index.error());
  if (filter.mode != filter_mode::include && filter.mode != filter_mode::exclude)
    return fail(std::errc::invalid_argument);
  if (const auto checked = check_sources(group, filter.sources); !checked) return checked;
  if (filter.mode == filter_mode::include && filter.sources.empty()) return leave_if_joined(fd, *index, group);

  const std::vector<std::byte> area = kernel_filter(*index, group, filter);
  const bool before = has_membership(fd, *index, group);
  if (before && !group.is_v4_mapped()) {
    if (const auto mended = mend_membership(fd, *index, group); !mended) return fail(mended.error());
  }
  if (!before) {
    if (const auto joined = join_for(fd, *index, group, filter); !joined) return joined;
  }
  const result<void> set = request_group(fd, level_of(group), MCAST_MSFILTER, area.data(), area.size());
  if (!set && !before) (void)leave_group(fd, *index, group);
  return set;
}

}  // namespace uring6::inline v0
