// Network interfaces, their addresses, and the multicast groups joined on them.
//
// Each call asks the kernel afresh (one netlink dump, or /proc for the groups), for the network namespace of the
// calling thread. Nothing is cached, so a call finds an interface that was renamed or created a moment ago. Not for
// hot paths. Any thread.
#pragma once

#include "uring6/version.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "uring6/address.hpp"
#include "uring6/detail/hash.hpp"
#include "uring6/export.hpp"
#include "uring6/flags.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

/// The state and capabilities of an interface. The bits are the kernel's. Go: net.Flags.
enum class interface_flags : std::uint32_t {
  none = 0,
  up = 0x1,               ///< Switched on by the administrator. IFF_UP
  broadcast = 0x2,        ///< IFF_BROADCAST
  loopback = 0x8,         ///< IFF_LOOPBACK
  point_to_point = 0x10,  ///< IFF_POINTOPOINT
  running = 0x40,         ///< Up and with a carrier. IFF_RUNNING
  multicast = 0x1000,     ///< IFF_MULTICAST
};

template <>
inline constexpr bool is_flags<interface_flags> = true;

/// The state of an address. The bits are the kernel's.
enum class address_flags : std::uint32_t {
  none = 0,
  temporary = 0x1,         ///< A privacy address (RFC 8981); of an IPv4 address: a secondary one. IFA_F_TEMPORARY
  optimistic = 0x4,        ///< Usable before the kernel has proved its uniqueness (RFC 4429). IFA_F_OPTIMISTIC
  duplicate = 0x8,         ///< Another host has the address, so it is unusable. IFA_F_DADFAILED
  deprecated = 0x20,       ///< Its preferred lifetime is over: not for new conversations. IFA_F_DEPRECATED
  tentative = 0x40,        ///< Not proved unique yet, and not usable yet. IFA_F_TENTATIVE
  permanent = 0x80,        ///< Configured by hand. IFA_F_PERMANENT
  stable_privacy = 0x800,  ///< Made from a secret (RFC 7217). IFA_F_STABLE_PRIVACY
};

template <>
inline constexpr bool is_flags<address_flags> = true;

/// How far an address reaches, as the routing table counts it (RT_SCOPE_*).
enum class address_scope : std::uint8_t { global = 0, site = 200, link = 253, host = 254, nowhere = 255 };

/// An address of an interface. Go: net.IPNet, which has neither state nor zone.
struct interface_address {
  std::uint32_t interface_index = 0;
  ip_address address{};            ///< IPv4 v4-mapped; a link-local address with its zone.
  std::uint8_t prefix_length = 0;  ///< Of the 128 bits: 192.0.2.1/24 has 120.
  address_scope scope = address_scope::global;
  address_flags flags = address_flags::none;
  std::optional<std::chrono::seconds> valid{};      ///< Seconds until the address is removed; nullopt: for ever.
  std::optional<std::chrono::seconds> preferred{};  ///< Seconds until it is deprecated; nullopt: for ever.

  [[nodiscard]] constexpr bool is(address_flags wanted) const noexcept { return has_all(flags, wanted); }

  friend bool operator==(const interface_address&, const interface_address&) noexcept = default;
};

/// How many sockets of this host include or exclude one source of a group.
struct group_source {
  ip_address source{};
  std::uint32_t included = 0;  ///< Sockets that joined the source. MCAST_JOIN_SOURCE_GROUP
  std::uint32_t excluded = 0;  ///< Sockets that excluded the source. MCAST_BLOCK_SOURCE

  friend bool operator==(const group_source&, const group_source&) noexcept = default;
};

/// A multicast group that the host has joined on an interface.
struct group_membership {
  std::uint32_t interface_index = 0;
  ip_address group{};       ///< A group of interface-local or link-local scope has its zone.
  std::uint32_t users = 0;  ///< Sockets and parts of the kernel that joined the group.
  std::vector<group_source> sources{};

  friend bool operator==(const group_membership&, const group_membership&) noexcept = default;
};

/// A network interface, as it was at the time of the call. Go: net.Interface.
struct URING6_EXPORT interface {
  std::uint32_t index = 0;  ///< From 1.
  std::string name{};
  std::uint32_t mtu = 0;  ///< In bytes.
  interface_flags flags = interface_flags::none;
  std::vector<std::uint8_t> hardware_address{};  ///< Empty if the interface has none (loopback, tunnels).

  /// All interfaces, in the kernel's order. Errors: the kernel's. Go: net.Interfaces.
  static result<std::vector<interface>> all();

  /// The interface of this name, or of this alternative name. `errc::unknown_zone` if there is no such interface. Go:
  /// net.InterfaceByName.
  static result<interface> by_name(std::string_view name);

  /// The interface of this index. `errc::unknown_zone` if there is no such interface. Go: net.InterfaceByIndex.
  static result<interface> by_index(std::uint32_t index);

  /// The addresses of all interfaces, in one dump. Go: net.InterfaceAddrs.
  static result<std::vector<interface_address>> all_addresses();

  /// The IPv6 multicast groups joined on all interfaces. Go: none.
  static result<std::vector<group_membership>> all_groups();

  /// The addresses of this interface. `errc::unknown_zone` if the interface has gone. Go: Interface.Addrs.
  result<std::vector<interface_address>> addresses() const;

  /// The IPv6 multicast groups joined on this interface. `errc::unknown_zone` if the interface has gone. Go:
  /// Interface.MulticastAddrs, which has no users and no sources.
  result<std::vector<group_membership>> groups() const;

  [[nodiscard]] constexpr bool is(interface_flags wanted) const noexcept { return has_all(flags, wanted); }

  friend bool operator==(const interface&, const interface&) noexcept = default;
};

/// "up|broadcast|multicast|running"; "none".
URING6_EXPORT std::string to_string(interface_flags flags);

/// "permanent|deprecated"; "none".
URING6_EXPORT std::string to_string(address_flags flags);

/// "fe80::1%eth0/64"
URING6_EXPORT std::string to_string(const interface_address& one);

/// "2: eth0 <up|broadcast|multicast|running> mtu 1500 02:00:5e:10:00:01". Without a hardware address the last part is
/// absent.
URING6_EXPORT std::string to_string(const interface& one);

}  // namespace uring6::inline v0

template <>
struct std::hash<uring6::interface_address> {
  std::size_t operator()(const uring6::interface_address& of) const noexcept {
    return uring6::detail::hash_of(of.interface_index, of.address, of.prefix_length, of.scope, of.flags,
                                   of.valid ? of.valid->count() : -1, of.preferred ? of.preferred->count() : -1);
  }
};

template <>
struct std::hash<uring6::group_source> {
  std::size_t operator()(const uring6::group_source& of) const noexcept {
    return uring6::detail::hash_of(of.source, of.included, of.excluded);
  }
};

template <>
struct std::hash<uring6::group_membership> {
  std::size_t operator()(const uring6::group_membership& of) const noexcept {
    return uring6::detail::hash_of(of.interface_index, of.group, of.users, uring6::detail::hash_of_all(of.sources));
  }
};

template <>
struct std::hash<uring6::interface> {
  std::size_t operator()(const uring6::interface& of) const noexcept {
    return uring6::detail::hash_of(of.index, of.name, of.mtu, of.flags,
                                   uring6::detail::hash_of_all(of.hardware_address));
  }
};
