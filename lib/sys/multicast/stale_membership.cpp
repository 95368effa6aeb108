#include "sys/multicast/stale_membership.hpp"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <cassert>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "sys/multicast/group_request.hpp"
#include "sys/multicast/proc_groups.hpp"
#include "sys/socket/socket.hpp"

namespace uring6::inline v0 {
namespace {

/// The source filter of a socket for a group: all sources but these (MCAST_EXCLUDE), or these alone (MCAST_INCLUDE).
struct source_filter {
  std::uint32_t mode = MCAST_EXCLUDE;
  std::vector<sockaddr_storage> sources;
};

// Writes the kernel's group_filter of the socket's membership into `area`; false if the socket has not joined the
// group.
bool get_filter(int fd, std::uint32_t index, const ip_address& group, std::span<std::byte> area,
                std::uint32_t room_for) noexcept {
  assert(area.size() >= GROUP_FILTER_SIZE(room_for) && "the kernel writes so many sources");
  group_filter asked;
  std::memset(&asked, 0, sizeof asked);  // the padding, too
  asked.gf_interface = index;
  asked.gf_group = as_storage(group);
  asked.gf_numsrc = room_for;
  std::memcpy(area.data(), &asked, GROUP_FILTER_SIZE(0));
  auto length = static_cast<socklen_t>(area.size());
  return ::getsockopt(fd, IPPROTO_IPV6, MCAST_MSFILTER, area.data(), &length) == 0;
}

source_filter filter_of(int fd, std::uint32_t index, const ip_address& group) {
  // net.ipv6.mld_max_msf by default. If there are more sources, the kernel returns their number, and the loop asks
  // again.
  constexpr std::uint32_t sources_at_first = 64;
  std::uint32_t room = sources_at_first;
  for (;;) {
    std::vector<std::byte> area(GROUP_FILTER_SIZE(room));
    if (!get_filter(fd, index, group, area, room)) return {};
    group_filter answer;
    std::memcpy(&answer, area.data(), GROUP_FILTER_SIZE(0));
    if (answer.gf_numsrc > room) {
      room = answer.gf_numsrc;
      continue;
    }
    source_filter found{answer.gf_fmode, std::vector<sockaddr_storage>(answer.gf_numsrc)};
    if (!found.sources.empty()) {
      std::memcpy(found.sources.data(), area.data() + GROUP_FILTER_SIZE(0),
                  found.sources.size() * sizeof(sockaddr_storage));
    }
    return found;
  }
}

// The number that identifies the socket's network namespace since Linux 5.14. Nothing on an older kernel.
std::optional<std::uint64_t> namespace_of(int fd) noexcept {
  constexpr int netns_cookie = 71;  // SO_NETNS_COOKIE, which glibc 2.36 does not define
  std::uint64_t cookie = 0;
  socklen_t length = sizeof cookie;
  if (::getsockopt(fd, SOL_SOCKET, netns_cookie, &cookie, &length) != 0) return std::nullopt;
  return cookie;
}

bool is_in_this_namespace(int fd) noexcept {
  const auto own = open_socket(AF_INET6, SOCK_DGRAM);
  return own && namespace_of(own->get()) == namespace_of(fd);
}

// The interface of the socket's membership, for a caller that names none: the kernel returns a membership's sources
// only for a given interface. 0: the interface does not exist any more.
std::uint32_t interface_of(int fd, const ip_address& group) noexcept {
  const std::unique_ptr<struct if_nameindex, decltype(&::if_freenameindex)> all(::if_nameindex(), ::if_freenameindex);
  for (const struct if_nameindex* each = all.get(); each && each->if_index != 0; ++each) {
    if (has_membership(fd, each->if_index, group)) return each->if_index;
  }
  return 0;
}

result<void> join_again(int fd, std::uint32_t index, const ip_address& group, const source_filter& filter) noexcept {
  const bool all_but = filter.mode == MCAST_EXCLUDE;
  assert(all_but || filter.mode == MCAST_INCLUDE);
  if (all_but) {
    const group_req whole = membership_of(index, group);
    if (const auto joined = request_group(fd, IPPROTO_IPV6, MCAST_JOIN_GROUP, &whole, sizeof whole); !joined)
      return joined;
  }
  for (const sockaddr_storage& each : filter.sources) {
    const group_source_req one = membership_of(index, group, each);
    const int number = all_but ? MCAST_BLOCK_SOURCE : MCAST_JOIN_SOURCE_GROUP;
    if (const auto done = request_group(fd, IPPROTO_IPV6, number, &one, sizeof one); !done) return done;
  }
  return {};
}

}  // namespace

bool has_membership(int fd, std::uint32_t interface_index, const ip_address& group) noexcept {
  alignas(group_filter) std::array<std::byte, GROUP_FILTER_SIZE(1)> area{};
  return get_filter(fd, interface_index, group, area, 0);
}

result<membership_state> mend_membership(int fd, std::uint32_t interface_index, const ip_address& group) {
  if (!is_in_this_namespace(fd)) return membership_state::heard;
  const auto heard = read_igmp6();
  if (!heard) return fail(heard.error());
  const auto is_ours = [&](const group_membership& each) {
    if (each.group.with_zone(0) != group.with_zone(0)) return false;
    if (interface_index != 0) return each.interface_index == interface_index;
    return has_membership(fd, each.interface_index, group);
  };
  if (std::ranges::any_of(*heard, is_ours)) return membership_state::heard;

  const std::uint32_t on = interface_index != 0 ? interface_index : interface_of(fd, group);
  const source_filter filter = filter_of(fd, on, group);
  const group_req whole = membership_of(on, group);
  if (const auto left = request_group(fd, IPPROTO_IPV6, MCAST_LEAVE_GROUP, &whole, sizeof whole); !left)
    return fail(left.error());
  if (const auto joined = join_again(fd, on, group, filter); !joined) {
    // Joined for other sources than the program chose, it would hear what it had excluded, or miss what it had joined.
    // Fails where nothing was joined yet.
    (void)request_group(fd, IPPROTO_IPV6, MCAST_LEAVE_GROUP, &whole, sizeof whole);
    return fail(joined.error());
  }
  return membership_state::rejoined;
}

}  // namespace uring6::inline v0
