#include "sys/socket/socket.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <bit>
#include <cerrno>

namespace uring6::inline v0 {
namespace {

using name_function = int (*)(int, sockaddr*, socklen_t*);

result<endpoint> endpoint_of(int fd, name_function name) noexcept {
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  } to{};
  socklen_t length = sizeof to;
  if (name(fd, &to.any, &length) != 0) return fail_errno(errno);
  switch (to.any.sa_family) {
    case AF_INET6:
      return endpoint::from_sockaddr(to.v6);
    case AF_INET:
      return endpoint{ip_address::v4_mapped(std::bit_cast<ip_address::v4_bytes_type>(to.v4.sin_addr)),
                      ntohs(to.v4.sin_port)};
    default:
      return fail(std::errc::address_family_not_supported);
  }
}

using address_function = int (*)(int, const sockaddr*, socklen_t);

result<void> give_address(int fd, const endpoint& given, address_function give) noexcept {
  const result<void> zone = check_zone(fd, given.address);
  if (!zone) return zone;
  const sockaddr_in6 name = given.to_sockaddr();
  if (give(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) return fail_errno(errno);
  return {};
}

}  // namespace

bool has_zones(const ip_address& address) noexcept {
  const auto scope = address.scope();
  return scope ? *scope <= multicast_scope::link_local : address.is_link_local() && !address.is_v4_mapped();
}

// The callers check before bind and connect: the kernel ties the socket to the zone even if the call fails, also to a
// zone that does not exist, and an unprivileged program cannot undo that.
result<void> check_zone(int fd, const ip_address& address) noexcept {
  if (address.zone() == 0) return {};
  ifreq wanted{};
  wanted.ifr_ifindex = static_cast<int>(address.zone());
  if (::ioctl(fd, SIOCGIFNAME, &wanted) != 0) return errno == ENODEV ? fail(errc::unknown_zone) : fail_errno(errno);
  if (!has_zones(address)) return fail(errc::needless_zone);
  return {};
}

result<void> listen_socket(int fd, int backlog) noexcept {
  if (::listen(fd, backlog) != 0) return fail_errno(errno);
  return {};
}

result<file_descriptor> open_socket(int family, int type, int protocol) noexcept {
  const int fd = ::socket(family, type | SOCK_CLOEXEC, protocol);
  if (fd < 0 && errno == EAFNOSUPPORT && family == AF_INET6) return fail(errc::no_ipv6);
  if (fd < 0) return fail_errno(errno);
  return file_descriptor(fd);
}

result<void> make_blocking(int fd) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ((flags & O_NONBLOCK) && ::fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)) return fail_errno(errno);
  return {};
}

result<void> bind_socket(int fd, const endpoint& local) noexcept {
  return give_address(fd, local, ::bind);
}

result<void> connect_socket(int fd, const endpoint& peer) noexcept {
  return give_address(fd, peer, ::connect);
}

result<endpoint> local_endpoint(int fd) noexcept {
  return endpoint_of(fd, ::getsockname);
}

result<endpoint> peer_endpoint(int fd) noexcept {
  return endpoint_of(fd, ::getpeername);
}

bool is_connected_to_itself(int fd) noexcept {
  const auto peer = peer_endpoint(fd);
  return peer && local_endpoint(fd) == peer;
}

void reset_on_close(int fd) noexcept {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  (void)::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

std::optional<std::uint64_t> network_namespace_of(int fd) noexcept {
  constexpr int netns_cookie = 71;  // SO_NETNS_COOKIE, which glibc 2.36 does not define
  std::uint64_t cookie = 0;
  socklen_t length = sizeof cookie;
  if (::getsockopt(fd, SOL_SOCKET, netns_cookie, &cookie, &length) != 0) return std::nullopt;
  return cookie;
}

result<std::uint32_t> drop_count(int fd) noexcept {
  std::array<std::uint32_t, SK_MEMINFO_VARS> values{};
  socklen_t size = sizeof values;
  if (::getsockopt(fd, SOL_SOCKET, SO_MEMINFO, values.data(), &size) != 0) return fail_errno(errno);
  return values[SK_MEMINFO_DROPS];
}

}  // namespace uring6::inline v0
