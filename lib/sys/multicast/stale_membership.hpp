// Memberships that the kernel keeps in a socket although the interface has forgotten them.
//
// A socket has a list of the groups that it joined; an interface has a list of the groups that it hears. When IPv6
// leaves an interface (its MTU fell below 1280, it was deleted, it was moved to another namespace) the kernel empties
// the interface's list and leaves the socket's alone. The socket then hears nothing, also after the interface is back,
// and a second join ends with EADDRINUSE. To leave the group and to join it again puts it into both lists.
#pragma once

#include <cstdint>

#include "uring6/address.hpp"
#include "uring6/result.hpp"

namespace uring6 {

/// What a look at the interface's list has led to.
enum class membership_state : std::uint8_t {
  heard,     ///< The interface has the group, or this thread cannot tell: nothing was done.
  rejoined,  ///< It was missing; the socket has left the group and joined it again, with the sources that it had.
};

/// For an IPv6 `group` that the kernel says `fd` has joined on `interface_index` (0: on any). The sources that are
/// joined or excluded are kept. Reads /proc/thread-self/net/igmp6, which names the groups of this thread's network
/// namespace: of a socket of another one it cannot tell.
///
/// Errors: those of a join (EINVAL while the interface has no IPv6: the group is left then); those of
/// reading /proc. May throw std::bad_alloc.
result<membership_state> mend_membership(int fd, std::uint32_t interface_index, const ip_address& group);

/// Whether the kernel says that `fd` has joined the IPv6 `group` on this interface. MCAST_MSFILTER
bool has_membership(int fd, std::uint32_t interface_index, const ip_address& group) noexcept;

}  // namespace uring6
