#include "uring6/ip_options.hpp"

#include <sys/socket.h>

#include "sys/failure/failure_note.hpp"
#include "sys/socket/dual_options.hpp"
#include "sys/socket/socket.hpp"
#include "sys/socket/socket_options.hpp"
#include "uring6/packet_conn.hpp"
#include "uring6/tcp.hpp"

namespace uring6::inline v0 {
namespace {

result<int> open(int fd) {
  if (fd < 0) return fail(errc::closed);
  return fd;
}

/// The families to which the socket sends; of a connected socket the family of its peer.
families speaks(int fd) {
  // For an AF_INET socket the kernel then reports that it has no such option.
  if (get_option(fd, option::socket_domain) != AF_INET6) return families::v6;
  if (const auto peer = peer_endpoint(fd)) return peer->address.is_v4_mapped() ? families::v4 : families::v6;
  // A raw socket sends one family, and takes only that family's options.
  const bool raw = get_option(fd, option::socket_type) == SOCK_RAW;
  return !raw && get_option(fd, option::only_v6) == 0 ? families::both : families::v6;
}

/// The option of the family that this socket sends.
option row(int fd, option v6, option v4) {
  return speaks(fd) == families::v4 ? v4 : v6;
}

}  // namespace

ip_options::ip_options(const packet_conn& of) noexcept : fd_(of.native_handle()) {}
ip_options::ip_options(const tcp_conn& of) noexcept : fd_(of.native_handle()) {}
ip_options::ip_options(const tcp_listener& of) noexcept : fd_(of.native_handle()) {}

result<int> ip_options::traffic_class() const {
  return open(fd_).and_then(
      [](int fd) { return get_option(fd, row(fd, option::traffic_class, option::v4_traffic_class)); });
}
result<void> ip_options::set_traffic_class(std::optional<int> traffic_class) const {
  const auto set = [=](int fd) { return uring6::set_traffic_class(fd, speaks(fd), traffic_class); };
  return detail::noted(open(fd_).and_then(set), "set_traffic_class", detail::value_or_default(traffic_class));
}
result<int> ip_options::hop_limit() const {
  return open(fd_).and_then([](int fd) { return get_option(fd, row(fd, option::hop_limit, option::v4_hop_limit)); });
}
result<void> ip_options::set_hop_limit(std::optional<int> hops) const {
  const auto set = [=](int fd) { return uring6::set_hop_limit(fd, speaks(fd), hops); };
  return detail::noted(open(fd_).and_then(set), "set_hop_limit", detail::value_or_default(hops));
}
result<std::uint32_t> ip_options::path_mtu() const {
  return open(fd_).and_then([](int fd) { return uring6::path_mtu(fd); });
}

}  // namespace uring6::inline v0
