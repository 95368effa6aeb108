#include "net/segment_limit.hpp"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <array>

#include "ipv6/cmsg.hpp"
#include "net/send_train.hpp"
#include "sys/file_descriptor.hpp"
#include "uring6/address.hpp"

namespace uring6::detail {
namespace {

constexpr std::size_t older_limit = 64;

bool takes(std::size_t segments) noexcept {
  const file_descriptor fd(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in6 self = endpoint{ip_address::loopback(), 0}.to_sockaddr();
  socklen_t length = sizeof self;
  auto* const name = reinterpret_cast<sockaddr*>(&self);
  if (fd.get() < 0 || ::bind(fd.get(), name, length) != 0 || ::getsockname(fd.get(), name, &length) != 0) return false;

  std::array<std::byte, send_train::most_segments> bytes{};
  alignas(cmsghdr) std::array<std::byte, control_space(sizeof(std::uint16_t))> control{};
  cmsg_writer(control).append(IPPROTO_UDP, UDP_SEGMENT, std::uint16_t{1});
  iovec piece{bytes.data(), segments};
  msghdr message{};
  message.msg_name = &self;
  message.msg_namelen = length;
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  return ::sendmsg(fd.get(), &message, 0) == static_cast<ssize_t>(segments);
}

}  // namespace

std::size_t segment_limit() noexcept {
  static const std::size_t limit = takes(send_train::most_segments) ? send_train::most_segments : older_limit;
  return limit;
}

}  // namespace uring6::detail
