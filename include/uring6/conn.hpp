// conn: the IPv6 options of any socket. Go: ipv6.Conn.
#pragma once

#include "uring6/version.hpp"

#include <cstdint>

#include "uring6/export.hpp"
#include "uring6/result.hpp"

namespace uring6 {

class packet_conn;
class tcp_conn;
class tcp_listener;

/// A view of a socket, TCP, UDP or raw IP, that sets what its packets say. It owns nothing: the socket must be open as
/// long as it is used (of a closed one everything is `errc::closed`). Any thread that may use the socket.
///
/// Where the peer of a connected dual-stack socket speaks IPv4, the same options of IPv4 are meant (IP_TOS, IP_TTL):
/// those of IPv6 would be set and have no effect. On a dual-stack socket without a peer (a listener) both are set, and
/// that of IPv6 is read. Go: ipv6.NewConn, where those of IPv6 are set and have no effect.
class URING6_EXPORT conn {
 public:
  explicit conn(int descriptor) noexcept : fd_(descriptor) {}
  explicit conn(const packet_conn& of) noexcept;
  explicit conn(const tcp_conn& of) noexcept;
  explicit conn(const tcp_listener& of) noexcept;  ///< What its connections inherit.

  /// 0 to 255: six bits DSCP, two bits ECN, which TCP sets itself: it keeps its own there. IPV6_TCLASS. Go:
  /// TrafficClass.
  [[nodiscard]] result<int> traffic_class() const;
  /// `errc::out_of_range`; ENOPROTOOPT of an IPv4 socket, ENOTSOCK. -1: the system's. Go: SetTrafficClass.
  [[nodiscard]] result<void> set_traffic_class(int traffic_class) const;

  /// Hop limit of unicast packets, 0 to 255 (1 to 255 where IPv4 is spoken). IPV6_UNICAST_HOPS. Go: HopLimit.
  [[nodiscard]] result<int> hop_limit() const;
  /// As `set_traffic_class`. -1: the system's. Go: SetHopLimit.
  [[nodiscard]] result<void> set_hop_limit(int hops) const;

  /// The MTU of the path to the peer, octets; ENOTCONN without one, and after the traffic class was changed until
  /// something is sent: the kernel then has no route. IPV6_PATHMTU. Go: PathMTU.
  [[nodiscard]] result<std::uint32_t> path_mtu() const;

 private:
  int fd_;
};

}  // namespace uring6
