// The source filter of a membership as a whole (RFC 3678, section 5.2; MCAST_MSFILTER).
#pragma once

#include <cstdint>

#include "uring6/address.hpp"
#include "uring6/result.hpp"
#include "uring6/source_filter.hpp"

namespace uring6::inline v0 {

/// Does the socket's list have `group` on this interface? The interface itself may have forgotten it
/// (stale_membership.hpp).
bool has_membership(int fd, std::uint32_t interface_index, const ip_address& group) noexcept;

/// The filter of a group that the socket has joined on this interface; `interface_index` 0: the group's zone. Errors:
/// `errc::not_joined`; `errc::not_multicast`; `errc::zone_mismatch`; `errc::ipv4_address`.
result<source_filter> get_source_filter(int fd, std::uint32_t interface_index, const ip_address& group);

/// Replaces the filter, and joins the group first if the socket has not joined it, or if the interface has forgotten
/// it. `include` without sources leaves the group; that is no error for a group that is not joined.
///
/// Errors: those of a join; EINVAL, `std::errc::address_family_not_supported` for a source; ENOBUFS for too many
/// sources. After an error a group that this call joined is left.
result<void> set_source_filter(int fd, std::uint32_t interface_index, const ip_address& group,
                               const source_filter& filter);

}  // namespace uring6::inline v0
