// Socket options: one table of all options, and the functions that set and get them.
#pragma once

#include <linux/filter.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "uring6/result.hpp"

namespace uring6::inline v0 {

/// Every socket option that uring6 uses. The comment names the kernel's option.
enum class option : std::uint8_t {
  // What is sent.
  traffic_class,           // IPV6_TCLASS
  hop_limit,               // IPV6_UNICAST_HOPS
  multicast_hop_limit,     // IPV6_MULTICAST_HOPS
  multicast_interface,     // IPV6_MULTICAST_IF
  multicast_loopback,      // IPV6_MULTICAST_LOOP
  unicast_interface,       // IPV6_UNICAST_IF
  dont_fragment,           // IPV6_DONTFRAG
  mtu_discovery,           // IPV6_MTU_DISCOVER
  checksum,                // IPV6_CHECKSUM
  v4_traffic_class,        // IP_TOS
  v4_hop_limit,            // IP_TTL
  v4_multicast_hop_limit,  // IP_MULTICAST_TTL
  v4_multicast_interface,  // IP_MULTICAST_IF
  v4_multicast_loopback,   // IP_MULTICAST_LOOP
  v4_mtu_discovery,        // IP_MTU_DISCOVER
  // What is received.
  multicast_all,             // IPV6_MULTICAST_ALL
  v4_multicast_all,          // IP_MULTICAST_ALL
  receive_packet_info,       // IPV6_RECVPKTINFO
  receive_traffic_class,     // IPV6_RECVTCLASS
  receive_hop_limit,         // IPV6_RECVHOPLIMIT
  receive_path_mtu,          // IPV6_RECVPATHMTU
  receive_timestamp,         // SO_TIMESTAMPNS_NEW
  receive_errors,            // IPV6_RECVERR
  receive_v4_packet_info,    // IP_PKTINFO
  receive_v4_traffic_class,  // IP_RECVTOS
  receive_v4_hop_limit,      // IP_RECVTTL
  receive_v4_errors,         // IP_RECVERR
  // To what the socket is bound.
  only_v6,            // IPV6_V6ONLY
  freebind,           // IPV6_FREEBIND
  bind_without_port,  // IP_BIND_ADDRESS_NO_PORT
  reuse_address,      // SO_REUSEADDR
  reuse_port,         // SO_REUSEPORT
  bind_to_device,     // SO_BINDTODEVICE
  bind_to_interface,  // SO_BINDTOIFINDEX
  path_mtu,           // IPV6_PATHMTU
  // Buffers and offloads.
  receive_buffer,        // SO_RCVBUF
  receive_buffer_force,  // SO_RCVBUFFORCE
  send_buffer,           // SO_SNDBUF
  send_buffer_force,     // SO_SNDBUFFORCE
  udp_receive_offload,   // UDP_GRO
  udp_segment,           // UDP_SEGMENT
  // Filters.
  attach_filter,             // SO_ATTACH_FILTER
  detach_filter,             // SO_DETACH_FILTER
  attach_reuse_port_filter,  // SO_ATTACH_REUSEPORT_CBPF
  icmp_filter,               // ICMPV6_FILTER
  // TCP.
  no_delay,             // TCP_NODELAY
  keep_alive,           // SO_KEEPALIVE
  keep_alive_idle,      // TCP_KEEPIDLE
  keep_alive_interval,  // TCP_KEEPINTVL
  keep_alive_count,     // TCP_KEEPCNT
  // What the socket is, read only.
  socket_domain,    // SO_DOMAIN
  socket_type,      // SO_TYPE
  socket_protocol,  // SO_PROTOCOL
  socket_listens,   // SO_ACCEPTCONN
  pending_error,    // SO_ERROR
};

/// How the kernel takes an option's value.
enum class payload : std::uint8_t {
  integer,        ///< An int.
  network_order,  ///< An int in network byte order.
  buffer_size,    ///< An int that the kernel doubles for its bookkeeping. Set and returned here without the doubling.
  bytes,          ///< A structure or text; the range is that of its length.
  program,        ///< A classic BPF program; the range is that of its number of instructions.
};

/// One row of the table.
struct option_info {
  option id;
  std::string_view name;  ///< The kernel's name.
  int level;
  int number;
  payload kind;
  std::int64_t least;  ///< The smallest value that can be set. If `most` is smaller, the option is read only.
  std::int64_t most;

  [[nodiscard]] constexpr bool allows(std::int64_t value) const noexcept { return value >= least && value <= most; }
};

/// All rows, in the order of `option`.
std::span<const option_info> option_table() noexcept;

/// The row of `id`.
const option_info& describe(option id) noexcept;

namespace detail {
result<void> set_integer_option(int fd, option id, std::int64_t value) noexcept;
}

/// Sets an integer option. A value outside the row's range is `errc::out_of_range` and never reaches the
/// kernel; otherwise the kernel's errno. A bool is 0 or 1. A wider value is not truncated: 2^32 + 5 is out of range,
/// not 5.
template <std::integral T>
result<void> set_option(int fd, option id, T value) noexcept {
  if constexpr (std::is_unsigned_v<T> && sizeof(T) >= sizeof(std::int64_t)) {
    if (value > static_cast<T>(std::numeric_limits<std::int64_t>::max())) return fail(errc::out_of_range);
  }
  return detail::set_integer_option(fd, id, static_cast<std::int64_t>(value));
}

/// The value of an integer option, signed as in the kernel (`checksum` is -1 when it is off).
result<int> get_option(int fd, option id) noexcept;

/// Sets an option of payload `bytes`. A length outside the row's range is `errc::out_of_range`.
result<void> set_option(int fd, option id, std::span<const std::byte> value) noexcept;

/// Reads an option of payload `bytes` into `value`; returns how many bytes the kernel wrote.
result<std::size_t> get_option(int fd, option id, std::span<std::byte> value) noexcept;

/// Attaches a classic BPF program (`attach_filter`, `attach_reuse_port_filter`). 1 to 4096 instructions
/// (BPF_MAXINSNS), else `errc::out_of_range`; a program that the kernel refuses is EINVAL, a locked filter
/// EPERM.
result<void> set_option(int fd, option id, std::span<const sock_filter> program) noexcept;

/// Asks for a receive buffer of `bytes` (SO_RCVBUFFORCE, without the privilege SO_RCVBUF) and returns the
/// size that the kernel granted, in the same units. `errc::out_of_range` below 0 or above INT_MAX / 2.
result<int> set_receive_buffer(int fd, std::int64_t bytes) noexcept;

/// As `set_receive_buffer`, for sending (SO_SNDBUFFORCE, SO_SNDBUF).
result<int> set_send_buffer(int fd, std::int64_t bytes) noexcept;

/// Binds to the device of this name, "" for none (SO_BINDTODEVICE). An unknown name is `errc::unknown_zone`,
/// one longer than a name can be (15 bytes) too: the kernel alone would cut it and bind to another device.
result<void> set_bound_device(int fd, std::string_view name) noexcept;

/// The name of the device that the socket is bound to; empty if none.
result<std::string> bound_device(int fd);

/// The MTU of the path to the peer, in bytes (IPV6_PATHMTU). ENOTCONN without a connected peer.
result<std::uint32_t> path_mtu(int fd) noexcept;

}  // namespace uring6::inline v0
