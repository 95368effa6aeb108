// Options of sent packets, for both families. A dual-stack socket has separate options for IPv4: its IPv6 options have
// no effect on packets to IPv4 peers.
#pragma once

#include <cstdint>
#include <optional>

#include "uring6/result.hpp"

namespace uring6::inline v0 {

/// The families for which an option is set.
enum class families : std::uint8_t { v6, v4, both };

// Each function sets the IPv4 option first, because its range is narrower: after an error neither option has changed.
// Values and errors are those of `set_option`.

/// IPV6_TCLASS, IP_TOS. nullopt: the system's default, which is 0 for IPv4.
result<void> set_traffic_class(int fd, families of, std::optional<int> traffic_class) noexcept;

/// IPV6_UNICAST_HOPS, IP_TTL. nullopt: the system's default. IPv4 has no 0: `errc::out_of_range`.
result<void> set_hop_limit(int fd, families of, std::optional<int> hops) noexcept;

/// IPV6_DONTFRAG, and IP_MTU_DISCOVER: IP_PMTUDISC_DO if on, else IP_PMTUDISC_WANT.
result<void> set_dont_fragment(int fd, families of, bool on) noexcept;

/// IPV6_MULTICAST_HOPS, IP_MULTICAST_TTL. nullopt: the system's default, 1.
result<void> set_multicast_hop_limit(int fd, families of, std::optional<int> hops) noexcept;

/// IPV6_MULTICAST_LOOP, IP_MULTICAST_LOOP.
result<void> set_multicast_loopback(int fd, families of, bool on) noexcept;

/// IPV6_MULTICAST_IF, IP_MULTICAST_IF. Interface 0: the routing table chooses.
result<void> set_multicast_interface(int fd, families of, std::uint32_t index) noexcept;

}  // namespace uring6::inline v0
