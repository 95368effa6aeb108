// The kernel's requests about groups (RFC 3678, section 5), for membership.cpp and stale_membership.cpp.
#pragma once

#include <sys/socket.h>

#include <cstddef>

#include "uring6/address.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

/// The address in the form of MCAST_* requests, with its own family. The kernel reads address and family only.
sockaddr_storage as_storage(const ip_address& address) noexcept;

/// setsockopt of one of MCAST_*, with the kernel's errors in this library's words: `errc::unknown_zone` (ENODEV),
/// `errc::already_joined` (EADDRINUSE), `errc::not_joined` (EADDRNOTAVAIL of a leave).
result<void> request_group(int fd, int level, int number, const void* value, std::size_t length) noexcept;

}  // namespace uring6::inline v0
