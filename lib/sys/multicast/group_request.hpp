// The kernel's requests about groups (RFC 3678, section 5), for the other files of this folder.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "uring6/address.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

/// The address in the form of MCAST_* requests, with its own family. The kernel reads address and family only.
sockaddr_storage as_storage(const ip_address& address) noexcept;

/// What MCAST_* requests name. Every octet is written, also the padding behind the interface's number: the kernel is
/// given all of them, and must not get octets of this thread's stack.
inline group_req membership_of(std::uint32_t interface_index, const ip_address& group) noexcept {
  group_req made;
  std::memset(&made, 0, sizeof made);
  made.gr_interface = interface_index;
  made.gr_group = as_storage(group);
  return made;
}
inline group_source_req membership_of(std::uint32_t interface_index, const ip_address& group,
                                      const sockaddr_storage& source) noexcept {
  group_source_req made;
  std::memset(&made, 0, sizeof made);
  made.gsr_interface = interface_index;
  made.gsr_group = as_storage(group);
  made.gsr_source = source;
  return made;
}

/// The level of the requests about this group: IPPROTO_IP or IPPROTO_IPV6.
int level_of(const ip_address& group) noexcept;

/// Checks what can be checked of a group before a request: `errc::not_multicast`; `errc::ipv4_address` for an IPv4
/// group on a socket that receives no IPv4; `errc::zone_mismatch`. Returns the interface that the index and the group's
/// zone name together, 0 if neither does.
result<std::uint32_t> check_group(int fd, std::uint32_t interface_index, const ip_address& group) noexcept;

/// setsockopt of one of MCAST_*, with the kernel's errors in this library's words: `errc::unknown_zone` (ENODEV),
/// `errc::already_joined` (EADDRINUSE), `errc::not_joined` (EADDRNOTAVAIL of a leave).
result<void> request_group(int fd, int level, int number, const void* value, std::size_t length) noexcept;

}  // namespace uring6::inline v0
