// ip_options: the IPv6 options of any socket. Go: ipv6.Conn.
#pragma once

#include "uring6/version.hpp"

#include <cstdint>
#include <optional>

#include "uring6/export.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

class packet_conn;
class tcp_conn;
class tcp_listener;

/// A view of a socket (TCP, UDP or raw IP) that sets IPv6 options. It owns nothing: while it is used the socket must
/// stay open; on a closed one every call gives `errc::closed`. Any thread that may use the socket may use the view.
///
/// On a dual-stack socket connected to an IPv4 peer it sets the IPv4 options (IP_TOS, IP_TTL), because the IPv6 ones
/// would have no effect. On a dual-stack socket without a peer (a listener) it sets both and reads the IPv6 one. Go:
/// ipv6.NewConn, which sets only the IPv6 options.
class URING6_EXPORT ip_options {
 public:
  explicit ip_options(int descriptor) noexcept : fd_(descriptor) {}
  explicit ip_options(const packet_conn& of) noexcept;
  explicit ip_options(const tcp_conn& of) noexcept;
  explicit ip_options(const tcp_listener& of) noexcept;  ///< Connections that the listener accepts inherit the options.

  /// 0 to 255: six bits DSCP, two bits ECN. On a TCP socket the kernel sets ECN itself and keeps its own bits.
  /// IPV6_TCLASS. Go: TrafficClass.
  result<int> traffic_class() const;
  /// 0 to 255; nullopt: the system's. `errc::out_of_range`; ENOPROTOOPT on an IPv4 socket; ENOTSOCK. Go:
  /// SetTrafficClass.
  result<void> set_traffic_class(std::optional<int> traffic_class) const;

  /// Hop limit of unicast packets, 0 to 255 (1 to 255 where the socket speaks IPv4). IPV6_UNICAST_HOPS. Go: HopLimit.
  result<int> hop_limit() const;
  /// nullopt: the system's. Errors: as `set_traffic_class`. Go: SetHopLimit.
  result<void> set_hop_limit(std::optional<int> hops) const;

  /// The MTU of the path to the peer, octets. ENOTCONN without a peer, and after a change of the traffic class until
  /// something is sent: the kernel then has no route. IPV6_PATHMTU. Go: PathMTU.
  result<std::uint32_t> path_mtu() const;

 private:
  int fd_;
};

using conn [[deprecated("the name is ip_options")]] = ip_options;

}  // namespace uring6::inline v0
