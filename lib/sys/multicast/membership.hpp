// Multicast membership: joins and leaves groups, and filters their sources (RFC 3678).
//
// If `interface_index` is 0, the zone of the group or source is the interface. Without a zone a join lets the routing
// table choose, and a leave takes the first membership of the group. Errors of every call: `errc::zone_mismatch`;
// `errc::unknown_zone`; ENOMEM (net.core.optmem_max: a join takes some 60 octets of it).
#pragma once

#include <cstdint>

#include "uring6/address.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

/// Checks that the kernel would deliver datagrams of `group` to the socket: to one that is bound to a group it delivers
/// only that group's. `errc::bound_to_group`; the errors of getsockname(2).
result<void> check_can_hear(int fd, const ip_address& group) noexcept;

/// Joins `group` for all sources. MCAST_JOIN_GROUP
///
/// Errors: `errc::not_multicast`; `errc::already_joined`; EINVAL on an interface without IPv6 (an MTU below 1280);
/// `errc::ipv4_address` for an IPv4 group (v4-mapped) on a socket of IPv6 only.
///
/// The kernel says "already joined" also when the interface has forgotten an IPv6 group (stale_membership.hpp). Then
/// this function leaves the group and joins it again,
/// with the sources that were joined or excluded, and succeeds. If the kernel refuses a part of that, this function
/// returns its error, and the group is left.
result<void> join_group(int fd, std::uint32_t interface_index, const ip_address& group);

/// Leaves `group` and forgets its sources. MCAST_LEAVE_GROUP
///
/// Errors: `errc::not_multicast`; `errc::not_joined`; `errc::ipv4_address`.
result<void> leave_group(int fd, std::uint32_t interface_index, const ip_address& group) noexcept;

/// Joins `group` for one source. A further call adds a further source. MCAST_JOIN_SOURCE_GROUP
///
/// Errors: as `join_group`; EADDRNOTAVAIL when that source is joined already; EINVAL for a source that is no
/// unicast address, and when the group is joined with excluded sources; ENOBUFS above net.ipv6.mld_max_msf
/// sources (64). A group that its interface has forgotten is joined again, as by `join_group`.
result<void> join_source_specific_group(int fd, std::uint32_t interface_index, const ip_address& group,
                                        const ip_address& source);

/// Removes `source`; with the last source the socket leaves the group. MCAST_LEAVE_SOURCE_GROUP
///
/// Errors: `errc::not_joined` when that source is not joined; EINVAL when the group is not.
result<void> leave_source_specific_group(int fd, std::uint32_t interface_index, const ip_address& group,
                                         const ip_address& source) noexcept;

/// Excludes `source` from a group that `join_group` joined. MCAST_BLOCK_SOURCE
///
/// Errors: EADDRNOTAVAIL when it is excluded already; EINVAL when the group is not joined, or is joined for
/// single sources; ENOBUFS as above.
result<void> exclude_source_specific_group(int fd, std::uint32_t interface_index, const ip_address& group,
                                           const ip_address& source) noexcept;

/// Ends the exclusion of `source`. MCAST_UNBLOCK_SOURCE
///
/// Errors: EADDRNOTAVAIL when it is not excluded; EINVAL as `exclude_source_specific_group`.
result<void> include_source_specific_group(int fd, std::uint32_t interface_index, const ip_address& group,
                                           const ip_address& source) noexcept;

}  // namespace uring6::inline v0
