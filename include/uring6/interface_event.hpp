// interface_event: one change of the network's interfaces, addresses and routes, as a value.
#pragma once

#include "uring6/version.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "uring6/address.hpp"
#include "uring6/detail/hash.hpp"
#include "uring6/export.hpp"
#include "uring6/interface.hpp"
#include "uring6/stats.hpp"

namespace uring6::inline v0 {

/// What an `interface_event` tells.
enum class interface_change : std::uint8_t {
  created,           ///< The interface is there, also after one with the same index was removed. RTM_NEWLINK
  removed,           ///< Deleted, or moved to another network namespace. RTM_DELLINK
  renamed,           ///< From `previous_name` to `name`.
  up,                ///< The administrator switched it on. IFF_UP
  down,              ///< The administrator switched it off.
  running,           ///< Up and with a carrier. IFF_RUNNING
  stopped,           ///< No carrier any more, or down.
  mtu,               ///< Its MTU changed. Below 1,280 octets the kernel removes IPv6 from the interface.
  hardware_address,  ///< Its hardware address changed.

  address_added,       ///< `address` is there. If it can be used at once, `address_usable` follows. RTM_NEWADDR
  address_removed,     ///< A conn that is bound to `address` can send no more (EADDRNOTAVAIL). RTM_DELADDR
  address_usable,      ///< `address` can be bound: duplicate address detection is over, or was not needed. RFC 4862
  address_unusable,    ///< It is tentative again: its uniqueness is being proved anew.
  address_duplicate,   ///< Another host has it, so it cannot be used. IFA_F_DADFAILED
  address_deprecated,  ///< Not for new conversations: its preferred lifetime is over.
  address_preferred,   ///< No longer deprecated.

  route_added,    ///< A route to `address`/`prefix_length` was added or replaced. RTM_NEWROUTE
  route_removed,  ///< RTM_DELROUTE

  /// The kernel had no room for all messages (ENOBUFS). The events up to `synchronized` tell by what the network
  /// differs from what the events before told.
  overrun,
  synchronized,  ///< The events up to here tell all interfaces and addresses that there are.
};

/// An interface's name in place, so that an event needs no memory.
struct interface_name {
  std::array<char, 16> text{};  ///< With a NUL at its end. IFNAMSIZ

  constexpr std::string_view view() const noexcept { return text.data(); }

  friend bool operator==(const interface_name&, const interface_name&) noexcept = default;
};

/// One change. Fields that the change does not concern have their defaults.
struct interface_event {
  interface_change what = interface_change::synchronized;
  std::uint32_t interface_index = 0;  ///< 0: no interface (`overrun`, `synchronized`, a route without one).
  interface_name name{};              ///< The interface's name at that time; empty if the monitor does not know it.
  interface_name previous_name{};     ///< Of `renamed`.
  interface_flags flags = interface_flags::none;
  std::uint32_t mtu = 0;           ///< Octets. Of a route: the MTU that it sets itself (RTAX_MTU), or 0.
  ip_address address{};            ///< IPv4 v4-mapped; a link-local address with its zone. Of a route: its destination.
  std::uint8_t prefix_length = 0;  ///< Of the 128 bits.
  address_flags address_state = address_flags::none;
  ip_address gateway{};  ///< Of a route: the next hop; `::` if it has none, or several.

  friend bool operator==(const interface_event&, const interface_event&) noexcept = default;
};

/// Counters of an `interface_monitor` since it was opened.
struct interface_monitor_stats {
  std::uint64_t messages = 0;     ///< Netlink messages read.
  std::uint64_t events = 0;       ///< Events made of them.
  std::uint64_t overruns = 0;     ///< Times that the kernel had no room for a message (ENOBUFS).
  std::uint64_t dumps = 0;        ///< Listings of the network that ended: the first, and one after each overrun.
  std::uint64_t interrupted = 0;  ///< Listings that were begun anew, because the network changed meanwhile.
};

template <>
inline constexpr auto counters_of<interface_monitor_stats> = std::to_array<named_counter<interface_monitor_stats>>({
    {"messages", &interface_monitor_stats::messages},
    {"events", &interface_monitor_stats::events},
    {"overruns", &interface_monitor_stats::overruns},
    {"dumps", &interface_monitor_stats::dumps},
    {"interrupted", &interface_monitor_stats::interrupted},
});

static_assert(has_counters<interface_monitor_stats>);

/// "address_added"
URING6_EXPORT std::string to_string(interface_change what);

/// "eth0"
URING6_EXPORT std::string to_string(const interface_name& name);

/// "renamed eth1 (was eth0) ifindex=2", "address_usable eth0 ifindex=2 2001:db8::1/64 permanent", "mtu eth0 ifindex=2
/// mtu=1280", "synchronized".
URING6_EXPORT std::string to_string(const interface_event& event);

}  // namespace uring6::inline v0

template <>
struct std::hash<uring6::interface_name> {
  std::size_t operator()(const uring6::interface_name& of) const noexcept {
    return std::hash<std::string_view>{}(of.view());
  }
};

template <>
struct std::hash<uring6::interface_event> {
  std::size_t operator()(const uring6::interface_event& of) const noexcept {
    return uring6::detail::hash_of(of.what, of.interface_index, of.name, of.previous_name, of.flags, of.mtu, of.address,
                                   of.prefix_length, of.address_state, of.gateway);
  }
};
