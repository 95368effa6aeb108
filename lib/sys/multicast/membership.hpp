// Multicast membership: joining and leaving groups, and choosing whom to hear in them (RFC 3678).
//
// In every call `interface_index` may be 0 when the group or the source carries a zone, which is taken then.
// With no zone either, a join lets the routing table choose and a leave takes the first membership of that
// group. A zone that disagrees with the interface is `errc::zone_mismatch`.
//
// What the kernel refuses in every call: an interface that does not exist is `errc::unknown_zone`, one that has no IPv6
// (an MTU below 1280) is EINVAL to a join, ENOMEM is net.core.optmem_max (a join takes some 60 bytes of it).
#pragma once

#include <cstdint>

#include "uring6/address.hpp"
#include "uring6/result.hpp"

namespace uring6 {

/// Joins `group`, hearing every source. MCAST_JOIN_GROUP
///
/// Errors: `errc::not_multicast`; `errc::already_joined`; EAFNOSUPPORT for an IPv4 group (v4-mapped) on a socket that
/// does not speak IPv4.
///
/// The kernel says that an IPv6 group is joined already also after its interface has forgotten it
/// (stale_membership.hpp). Then the group is left and joined again, with the sources that were joined or excluded, and
/// the call succeeds.
result<void> join_group(int fd, std::uint32_t interface_index, const ip_address& group);

/// Leaves `group` and forgets its sources. MCAST_LEAVE_GROUP
///
/// Errors: `errc::not_multicast`; `errc::not_joined`; EAFNOSUPPORT.
result<void> leave_group(int fd, std::uint32_t interface_index, const ip_address& group) noexcept;

/// Joins `group` for what `source` sends, once more for each further source. MCAST_JOIN_SOURCE_GROUP
///
/// Errors: as `join_group`; EADDRNOTAVAIL when that source is joined already; EINVAL for a source that is no
/// unicast address, and when the group is joined with excluded sources; ENOBUFS above net.ipv6.mld_max_msf
/// sources (64). A group that its interface has forgotten is joined again, as by `join_group`.
result<void> join_source_specific_group(int fd, std::uint32_t interface_index, const ip_address& group,
                                        const ip_address& source);

/// Takes `source` away again; with the last source the group is left. MCAST_LEAVE_SOURCE_GROUP
///
/// Errors: `errc::not_joined` when that source is not joined; EINVAL when the group is not.
result<void> leave_source_specific_group(int fd, std::uint32_t interface_index, const ip_address& group,
                                         const ip_address& source) noexcept;

/// Stops hearing `source` in a group joined by `join_group`. MCAST_BLOCK_SOURCE
///
/// Errors: EADDRNOTAVAIL when it is excluded already; EINVAL when the group is not joined, or is joined for
/// single sources; ENOBUFS as above.
result<void> exclude_source_specific_group(int fd, std::uint32_t interface_index, const ip_address& group,
                                           const ip_address& source) noexcept;

/// Hears an excluded `source` again. MCAST_UNBLOCK_SOURCE
///
/// Errors: EADDRNOTAVAIL when it is not excluded; EINVAL as `exclude_source_specific_group`.
result<void> include_source_specific_group(int fd, std::uint32_t interface_index, const ip_address& group,
                                           const ip_address& source) noexcept;

}  // namespace uring6
