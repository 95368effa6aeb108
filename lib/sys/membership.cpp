#include "sys/membership.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace uring6 {
namespace {

// The kernel reads address and family only; the interface is in the request beside it.
sockaddr_storage storage_of(const ip_address& address) noexcept {
  const sockaddr_in6 name = endpoint{address.with_zone(0), 0}.to_sockaddr();
  sockaddr_storage storage{};
  std::memcpy(&storage, &name, sizeof name);
  return storage;
}

// Agrees on one interface, or says that there is none to agree on.
result<std::uint32_t> merge(std::uint32_t interface_index, std::uint32_t zone) noexcept {
  if (interface_index == 0) return zone;
  if (zone != 0 && zone != interface_index) return fail(errc::zone_mismatch);
  return interface_index;
}

result<std::uint32_t> check_group(std::uint32_t interface_index, const ip_address& group) noexcept {
  if (!group.is_multicast()) return fail(errc::not_multicast);
  if (group.is_v4_mapped()) return fail(std::errc::address_family_not_supported);
  return merge(interface_index, group.zone());
}

result<void> request(int fd, int number, const void* value, std::size_t length) noexcept {
  if (::setsockopt(fd, IPPROTO_IPV6, number, value, static_cast<socklen_t>(length)) == 0) return {};
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

result<void> change_group(int fd, int number, std::uint32_t interface_index, const ip_address& group) noexcept {
  const result<std::uint32_t> chosen = check_group(interface_index, group);
  if (!chosen) return fail(chosen.error());
  const group_req wanted{*chosen, storage_of(group)};
  return request(fd, number, &wanted, sizeof wanted);
}

result<void> change_source(int fd, int number, std::uint32_t interface_index, const ip_address& group,
                           const ip_address& source) noexcept {
  result<std::uint32_t> chosen = check_group(interface_index, group);
  if (!chosen) return fail(chosen.error());
  if (source.is_v4_mapped()) return fail(std::errc::address_family_not_supported);
  if (!source.is_unicast()) return fail(std::errc::invalid_argument);
  chosen = merge(*chosen, source.zone());
  if (!chosen) return fail(chosen.error());
  const group_source_req wanted{*chosen, storage_of(group), storage_of(source)};
  return request(fd, number, &wanted, sizeof wanted);
}

}  // namespace

result<void> join_group(int fd, std::uint32_t interface_index, const ip_address& group) noexcept {
  return change_group(fd, MCAST_JOIN_GROUP, interface_index, group);
}

result<void> leave_group(int fd, std::uint32_t interface_index, const ip_address& group) noexcept {
  return change_group(fd, MCAST_LEAVE_GROUP, interface_index, group);
}

result<void> join_source_specific_group(int fd, std::uint32_t interface_index, const ip_address& group,
                                        const ip_address& source) noexcept {
  return change_source(fd, MCAST_JOIN_SOURCE_GROUP, interface_index, group, source);
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

}  // namespace uring6
