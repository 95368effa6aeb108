// What rtnetlink messages about interfaces, addresses and routes say: the same in an answer and in a notification.
#pragma once

#include <optional>

#include "sys/interface/netlink.hpp"
#include "uring6/interface.hpp"
#include "uring6/interface_event.hpp"

namespace uring6::inline v0 {

/// The interface of an RTM_NEWLINK or RTM_DELLINK. Nothing for a message of another type or that is too short, and for
/// one of a protocol family (a port that leaves its bridge is an RTM_DELLINK of AF_BRIDGE, and the interface stays). A
/// driver's own event has no name: the result's is empty then.
std::optional<interface> parse_interface(const nlmsghdr& message);

/// The address of an RTM_NEWADDR or RTM_DELADDR. Nothing for a message of another type or family, or that is too short.
std::optional<interface_address> parse_interface_address(const nlmsghdr& message);

/// The event of an RTM_NEWROUTE or RTM_DELROUTE, without the interface's name. Nothing for a message of another type or
/// family or that is too short, for a route of the table `local`, and for a path that the kernel has learned
/// (RTM_F_CLONED).
std::optional<interface_event> parse_route(const nlmsghdr& message) noexcept;

/// Notifications of Linux 6.14 that an interface has joined or left a group, which older headers do not define.
inline constexpr std::uint16_t group_joined_message = 56;  // RTM_NEWMULTICAST
inline constexpr std::uint16_t group_left_message = 57;    // RTM_DELMULTICAST

/// The interface and the IPv6 group of one of these, or of an answer to RTM_GETMULTICAST.
struct listed_group {
  std::uint32_t interface_index = 0;
  ip_address group{};  ///< Without zone.

  friend auto operator<=>(const listed_group&, const listed_group&) noexcept = default;
};
std::optional<listed_group> parse_group(const nlmsghdr& message) noexcept;

}  // namespace uring6::inline v0
