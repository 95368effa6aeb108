#include "uring6/conn.hpp"

#include "sys/socket.hpp"
#include "sys/socket_options.hpp"
#include "uring6/packet_conn.hpp"
#include "uring6/tcp.hpp"

namespace uring6 {
namespace {

result<int> open(int fd) {
  if (fd < 0) return fail(errc::closed);
  return fd;
}

/// The IPv4 row where the peer speaks IPv4 by an IPv6 socket.
option row(int fd, option v6, option v4) {
  const auto peer = peer_endpoint(fd);
  if (!peer || !peer->address.is_v4_mapped()) return v6;
  return get_option(fd, option::socket_domain) == AF_INET6 ? v4 : v6;
}

}  // namespace

conn::conn(const packet_conn& of) noexcept : fd_(of.native_handle()) {}
conn::conn(const tcp_conn& of) noexcept : fd_(of.native_handle()) {}
conn::conn(const tcp_listener& of) noexcept : fd_(of.native_handle()) {}

result<int> conn::traffic_class() const {
  return open(fd_).and_then(
      [](int fd) { return get_option(fd, row(fd, option::traffic_class, option::v4_traffic_class)); });
}
result<void> conn::set_traffic_class(int traffic_class) const {
  return open(fd_).and_then(
      [=](int fd) { return set_option(fd, row(fd, option::traffic_class, option::v4_traffic_class), traffic_class); });
}
result<int> conn::hop_limit() const {
  return open(fd_).and_then([](int fd) { return get_option(fd, row(fd, option::hop_limit, option::v4_hop_limit)); });
}
result<void> conn::set_hop_limit(int hops) const {
  return open(fd_).and_then(
      [=](int fd) { return set_option(fd, row(fd, option::hop_limit, option::v4_hop_limit), hops); });
}
result<std::uint32_t> conn::path_mtu() const {
  return open(fd_).and_then([](int fd) { return uring6::path_mtu(fd); });
}

}  // namespace uring6
