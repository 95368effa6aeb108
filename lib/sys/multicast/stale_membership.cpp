#include "sys/multicast/stale_membership.hpp"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <cassert>

#include <algorithm>
#include <memory>

#include "sys/multicast/group_request.hpp"
#include "sys/multicast/proc_groups.hpp"
#include "sys/multicast/source_filter.hpp"
#include "sys/socket/socket.hpp"

namespace uring6::inline v0 {
namespace {

bool is_in_this_namespace(int fd) noexcept {
  const auto own = open_socket(AF_INET6, SOCK_DGRAM);
  return own && network_namespace_of(own->get()) == network_namespace_of(fd);
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
  const bool all_but = filter.mode == filter_mode::exclude;
  if (all_but) {
    const group_req whole = membership_of(index, group);
    if (const auto joined = request_group(fd, IPPROTO_IPV6, MCAST_JOIN_GROUP, &whole, sizeof whole); !joined)
      return joined;
  }
  for (const ip_address& each : filter.sources) {
    const group_source_req one = membership_of(index, group, as_storage(each));
    const int number = all_but ? MCAST_BLOCK_SOURCE : MCAST_JOIN_SOURCE_GROUP;
    if (const auto done = request_group(fd, IPPROTO_IPV6, number, &one, sizeof one); !done) return done;
  }
  return {};
}

}  // namespace

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
  // Without an interface the membership's interface does not exist any more: joining it again fails below.
  const source_filter filter = get_source_filter(fd, on, group).value_or(source_filter{});
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
