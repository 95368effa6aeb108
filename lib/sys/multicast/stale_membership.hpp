// Memberships that the kernel keeps in a socket although the interface has forgotten them. A socket and an interface
// have each a list of joined groups. When an interface loses IPv6 (its MTU fell below 1280, it was deleted, it was
// moved to another namespace) the kernel empties the interface's list but not the socket's. The socket then receives
// nothing, also after the interface is back, and a second join ends with EADDRINUSE. Leaving and joining the group puts
// it into both lists again.
#pragma once

#include <cstdint>

#include "uring6/address.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

/// What `mend_membership` found and did.
enum class membership_state : std::uint8_t {
  heard,     ///< The interface has the group, or this thread cannot read its list: nothing was done.
  rejoined,  ///< The interface had lost the group. The socket left it and joined it again, with its sources.
};

/// Joins `group` again if the interface has lost it. Precondition: the kernel says that `fd` has joined this IPv6 group
/// on `interface_index` (0: on any). Keeps the sources that are joined or excluded. Reads /proc/thread-self/net/igmp6,
/// which has the groups of this thread's network namespace: for a socket of another namespace it does nothing.
///
/// Errors: those of a join and of a source (EINVAL while the interface has no IPv6, ENOBUFS, ENOMEM): the group is left
/// then, with all its sources; those of reading /proc: nothing was done. May throw std::bad_alloc, and has done nothing
/// then.
result<membership_state> mend_membership(int fd, std::uint32_t interface_index, const ip_address& group);

}  // namespace uring6::inline v0
