#include "common/socket.hpp"

#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace bench {
namespace {

// Three times ten thousand sockets are more than the kernel's range of ports, and those of a process that ended with
// armed reads are free only some milliseconds later. So the sockets of plain C take ports below that range first, and
// leave it to subjects whose library asks the kernel for a port.
void bind_to_some_port(int fd) {
  constexpr std::uint16_t lowest = 10'000;
  constexpr std::uint16_t end = 32'768;  // the first port of the kernel's range: net.ipv4.ip_local_port_range
  static std::uint16_t next = lowest;
  while (next < end) {
    const sockaddr_in6 address = loopback(next++);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return;
    if (errno != EADDRINUSE) throw_errno("bind");
  }
  const sockaddr_in6 address = loopback(0);
  check(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
}

}  // namespace

void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::system_category(), what);
}

descriptor::~descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

sockaddr_in6 loopback(std::uint16_t port) noexcept {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  address.sin6_addr = in6addr_loopback;
  return address;
}

void set_option(int fd, int level, int option, int value) {
  check(::setsockopt(fd, level, option, &value, sizeof value), "setsockopt");
}

void widen_buffers(int fd) {
  constexpr int bytes = 32 << 20;
  for (const auto& [forced, plain] : {std::pair{SO_RCVBUFFORCE, SO_RCVBUF}, {SO_SNDBUFFORCE, SO_SNDBUF}}) {
    // Without CAP_NET_ADMIN the kernel grants net.core.{r,w}mem_max; a loss because of that voids the run.
    if (::setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof bytes) != 0) set_option(fd, SOL_SOCKET, plain, bytes);
  }
}

descriptor open_socket(int extra_flags) {
  descriptor fd(check(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | extra_flags, 0), "socket"));
  widen_buffers(fd.get());
  bind_to_some_port(fd.get());
  return fd;
}

descriptor open_at(const in6_addr& address, std::uint16_t port, int extra_flags) {
  descriptor fd(check(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | extra_flags, 0), "socket"));
  widen_buffers(fd.get());
  sockaddr_in6 at = loopback(port);
  at.sin6_addr = address;
  check(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), "bind to an address of bench/growth");
  return fd;
}

descriptor open_listener() {
  descriptor fd(check(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
  const sockaddr_in6 address = loopback(0);
  check(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
  check(::listen(fd.get(), SOMAXCONN), "listen");
  return fd;
}

std::uint16_t port_of(int fd) {
  sockaddr_in6 address{};
  socklen_t length = sizeof address;
  check(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length), "getsockname");
  return ntohs(address.sin6_port);
}

}  // namespace bench
