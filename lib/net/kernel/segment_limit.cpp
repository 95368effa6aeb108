#include "net/kernel/segment_limit.hpp"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <cassert>

#include <array>
#include <atomic>
#include <cerrno>

#include "ipv6/value/cmsg.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "uring6/address.hpp"

namespace uring6::inline v0::detail {
namespace {

constexpr std::size_t older_limit = 64;  // datagrams: UDP_MAX_SEGMENTS before Linux 6.9

}  // namespace

std::optional<std::size_t> ask_segment_limit() noexcept {
  const file_descriptor fd(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in6 self = endpoint{ip_address::loopback(), 0}.to_sockaddr();
  socklen_t length = sizeof self;
  auto* const name = reinterpret_cast<sockaddr*>(&self);
  if (fd.get() < 0 || ::bind(fd.get(), name, length) != 0 || ::getsockname(fd.get(), name, &length) != 0) return {};

  std::array<std::byte, longest_segment_limit> bytes{};
  alignas(cmsghdr) std::array<std::byte, cmsg::space(sizeof(std::uint16_t))> control{};
  cmsg_writer(control).append(IPPROTO_UDP, UDP_SEGMENT, std::uint16_t{1});
  iovec piece{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_name = &self;
  message.msg_namelen = length;
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  if (::sendmsg(fd.get(), &message, 0) == static_cast<ssize_t>(bytes.size())) return bytes.size();
  return errno == EINVAL ? std::optional(older_limit) : std::nullopt;
}

std::size_t segment_limit() noexcept {
  static std::atomic<std::size_t> known = 0;  // 0: not yet
  if (const std::size_t limit = known.load(std::memory_order_relaxed); limit > 0) return limit;
  const auto answer = ask_segment_limit();
  assert((!answer || (*answer > 0 && *answer <= longest_segment_limit)) && "a train has room for so many pieces");
  if (answer) known.store(*answer, std::memory_order_relaxed);
  return answer.value_or(older_limit);
}

}  // namespace uring6::inline v0::detail
