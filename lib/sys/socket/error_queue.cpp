#include "sys/socket/error_queue.hpp"

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <cassert>

#include <array>
#include <cerrno>

#include "ipv6/value/cmsg.hpp"

namespace uring6::inline v0 {
namespace {

/// The layout of a report on an IPv6 socket, also of IPv4 peers.
struct extended_error {
  sock_extended_err what;
  sockaddr_in6 offender;
};

// Octets of control data: the kernel adds to the report the control messages that the conn has asked for, with the
// values of the packet that carried the ICMP message.
constexpr std::size_t control_size = 512;
static_assert(control_size >= cmsg::space(~control_flags::none) + cmsg::space(sizeof(extended_error)));

void decode(std::span<const std::byte> control, error_report& report) noexcept {
  cmsg_reader reader(control);
  for (cmsg_view view; reader.next(view);) {
    // Also of an IPv4 peer: only a socket of AF_INET has IP_RECVERR.
    const bool is_error = view.level == IPPROTO_IPV6 && view.type == IPV6_RECVERR;
    sock_extended_err what;
    if (!is_error || !view.read(what)) continue;
    report.error = std::error_code(static_cast<int>(what.ee_errno), std::system_category());
    report.origin = static_cast<error_origin>(what.ee_origin);
    report.type = what.ee_type;
    report.code = what.ee_code;
    report.info = what.ee_info;
    if (extended_error whole; view.read(whole) && whole.offender.sin6_family == AF_INET6) {
      report.offender = endpoint::from_sockaddr(whole.offender).address;
    }
  }
}

}  // namespace

result<bool> read_error(int fd, error_report& report) noexcept {
  alignas(cmsghdr) std::array<std::byte, control_size> control;
  sockaddr_in6 name{};
  iovec payload{report.buffer.data(), report.buffer.size()};
  msghdr message{};
  message.msg_name = &name;
  message.msg_namelen = sizeof name;
  message.msg_iov = &payload;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t length;
  do {
    length = ::recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
  } while (length < 0 && errno == EINTR);
  if (length < 0) {
    if (errno == EAGAIN) return false;
    return fail_errno(errno);
  }
  assert(static_cast<std::size_t>(length) <= report.buffer.size() && message.msg_controllen <= control.size());
  report = {.buffer = report.buffer};
  report.payload = report.buffer.first(static_cast<std::size_t>(length));
  report.truncated = message.msg_flags & MSG_TRUNC;
  // A report of a transmit time stamp has no destination.
  if (message.msg_namelen >= sizeof name && name.sin6_family == AF_INET6) {
    report.destination = endpoint::from_sockaddr(name);
  }
  decode({control.data(), message.msg_controllen}, report);
  return true;
}

}  // namespace uring6::inline v0
