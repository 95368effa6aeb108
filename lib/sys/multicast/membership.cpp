#include "sys/multicast/membership.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <cassert>

#include <bit>
#include <cerrno>
#include <cstring>

#include "sys/multicast/group_request.hpp"
#include "sys/multicast/source_filter.hpp"
#include "sys/multicast/stale_membership.hpp"
#include "sys/socket/socket.hpp"
#include "sys/socket/socket_options.hpp"

namespace uring6::inline v0 {
namespace {

// The interface that the index and the zone name together. `errc::zone_mismatch` if they name different ones.
result<std::uint32_t> merge(std::uint32_t interface_index, std::uint32_t zone) noexcept {
  if (interface_index == 0) return zone;
  if (zone != 0 && zone != interface_index) return fail(errc::zone_mismatch);
  return interface_index;
}

// Refuses to join an IPv4 group on a socket that receives no IPv4: the kernel allows it on every IPv6 datagram socket.
result<void> check_family(int fd, const ip_address& group) noexcept {
  if (!group.is_v4_mapped() || get_option(fd, option::socket_domain) != AF_INET6) return {};
  const auto type = get_option(fd, option::socket_type);
  if (!type) return fail(type.error());
  if (*type == SOCK_DGRAM && get_option(fd, option::only_v6) == 0) return {};
  return fail(errc::ipv4_address);
}

result<void> change_group(int fd, int number, std::uint32_t interface_index, const ip_address& group) noexcept {
  const result<std::uint32_t> chosen = check_group(fd, interface_index, group);
  if (!chosen) return fail(chosen.error());
  assert((number == MCAST_JOIN_GROUP || number == MCAST_LEAVE_GROUP) && "the others name a source");
  const group_req wanted = membership_of(*chosen, group);
  return request_group(fd, level_of(group), number, &wanted, sizeof wanted);
}

result<void> change_source(int fd, int number, std::uint32_t interface_index, const ip_address& group,
                           const ip_address& source) noexcept {
  result<std::uint32_t> chosen = check_group(fd, interface_index, group);
  if (!chosen) return fail(chosen.error());
  if (source.is_v4_mapped() != group.is_v4_mapped()) return fail(std::errc::address_family_not_supported);
  if (!source.is_unicast()) return fail(std::errc::invalid_argument);
  chosen = merge(*chosen, source.zone());
  if (!chosen) return fail(chosen.error());
  const group_source_req wanted = membership_of(*chosen, group, as_storage(source));
  return request_group(fd, level_of(group), number, &wanted, sizeof wanted);
}

// Called when the kernel says that a group is joined. Joins it again if the interface has forgotten it; otherwise
// returns `said`, the kernel's answer.
result<void> mend(int fd, std::uint32_t interface_index, const ip_address& group, const result<void>& said) {
  const auto state = merge(interface_index, group.zone()).and_then([&](std::uint32_t index) {
    return mend_membership(fd, index, group);
  });
  if (!state) return fail(state.error());
  return *state == membership_state::rejoined ? result<void>() : said;
}

}  // namespace

result<std::uint32_t> check_group(int fd, std::uint32_t interface_index, const ip_address& group) noexcept {
  if (!group.is_multicast()) return fail(errc::not_multicast);
  return check_family(fd, group).and_then([&] { return merge(interface_index, group.zone()); });
}

int level_of(const ip_address& group) noexcept {
  return group.is_v4_mapped() ? IPPROTO_IP : IPPROTO_IPV6;
}

sockaddr_storage as_storage(const ip_address& address) noexcept {
  sockaddr_storage storage{};
  if (const auto v4 = address.to_v4()) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr = std::bit_cast<in_addr>(*v4);
    std::memcpy(&storage, &name, sizeof name);
  } else {
    const sockaddr_in6 name = endpoint{address.with_zone(0), 0}.to_sockaddr();
    std::memcpy(&storage, &name, sizeof name);
  }
  return storage;
}

result<void> request_group(int fd, int level, int number, const void* value, std::size_t length) noexcept {
  if (::setsockopt(fd, level, number, value, static_cast<socklen_t>(length)) == 0) return {};
  switch (errno) {
    case ENODEV:
      return fail(errc::unknown_zone);
    case EADDRINUSE:
      return fail(errc::already_joined);
    case EADDRNOTAVAIL:
      if (number == MCAST_LEAVE_GROUP || number == MCAST_LEAVE_SOURCE_GROUP) return fail(errc::not_joined);
      [[fallthrough]];
    default:
      return fail_errno(errno);
  }
}

result<void> check_can_hear(int fd, const ip_address& group) noexcept {
  const auto here = local_endpoint(fd);
  if (!here) return fail(here.error());
  if (!here->address.is_multicast() || !group.is_multicast()) return {};
  if (here->address.with_zone(0) == group.with_zone(0)) return {};
  return fail(errc::bound_to_group);
}

result<void> join_group(int fd, std::uint32_t interface_index, const ip_address& group) {
  const auto joined = change_group(fd, MCAST_JOIN_GROUP, interface_index, group);
  if (joined || group.is_v4_mapped() || joined.error() != errc::already_joined) return joined;
  return mend(fd, interface_index, group, joined);
}

result<void> leave_group(int fd, std::uint32_t interface_index, const ip_address& group) noexcept {
  return change_group(fd, MCAST_LEAVE_GROUP, interface_index, group);
}

result<void> join_source_specific_group(int fd, std::uint32_t interface_index, const ip_address& group,
                                        const ip_address& source) {
  const std::uint32_t zone = interface_index != 0 ? interface_index : group.zone();
  const std::uint32_t index = zone != 0 ? zone : source.zone();
  // Was the group joined before? Without an interface index this cannot be asked, and the answer is true.
  const bool before = group.is_multicast() && !group.is_v4_mapped() && (index == 0 || has_membership(fd, index, group));
  const auto joined = change_source(fd, MCAST_JOIN_SOURCE_GROUP, interface_index, group, source);
  // The kernel adds a further source to the socket's list also if the interface has forgotten the group.
  const bool is_joined = joined || joined.error() == std::errc::address_not_available;
  return before && is_joined ? mend(fd, index, group, joined) : joined;
}

result<void> leave_source_specific_group(int fd, std::uint32_t interface_index, const ip_address& group,
                                         const ip_address& source) noexcept {
  return change_source(fd, MCAST_LEAVE_SOURCE_GROUP, interface_index, group, source);
}

result<void> exclude_source_specific_group(int fd, std::uint32_t interface_index, const ip_address& group,
                                           const ip_address& source) noexcept {
  return change_source(fd, MCAST_BLOCK_SOURCE, interface_index, group, source);
}

result<void> include_source_specific_group(int fd, std::uint32_t interface_index, const ip_address& group,
                                           const ip_address& source) noexcept {
  return change_source(fd, MCAST_UNBLOCK_SOURCE, interface_index, group, source);
}

}  // namespace uring6::inline v0
