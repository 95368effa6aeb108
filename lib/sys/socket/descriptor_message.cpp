#include "sys/socket/descriptor_message.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace uring6::inline v0 {
namespace {

// Descriptors of one message that are looked at: SCM_MAX_FD, the most that the kernel passes. With room for fewer
// MSG_CTRUNC would not tell too many descriptors from a process that can take none.
constexpr std::size_t most_passed = 253;

result<int> value_of(int fd, int which) noexcept {
  int value = 0;
  socklen_t size = sizeof value;
  if (::getsockopt(fd, SOL_SOCKET, which, &value, &size) != 0) return fail_errno(errno);
  return value;
}

/// Takes the descriptors of all control messages. Keeps the first one.
void take_descriptors(msghdr& message, received_message& into) noexcept {
  for (cmsghdr* each = CMSG_FIRSTHDR(&message); each; each = CMSG_NXTHDR(&message, each)) {
    if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (each->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(each) + i * sizeof number, sizeof number);
      file_descriptor taken(number);
      if (into.descriptors++ == 0) into.passed = std::move(taken);
    }
  }
}

}  // namespace

result<void> check_message_socket(int fd) noexcept {
  const auto family = value_of(fd, SO_DOMAIN);
  if (!family) return fail(family.error());
  const auto type = value_of(fd, SO_TYPE);
  if (!type) return fail(type.error());
  if (*family != AF_UNIX || *type != SOCK_SEQPACKET) return fail(std::errc::wrong_protocol_type);
  return {};
}

result<void> send_message(int socket, std::span<const std::byte> octets, int passed) noexcept {
  iovec part{const_cast<std::byte*>(octets.data()), octets.size()};
  alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof passed)]{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (passed >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof passed);
    std::memcpy(CMSG_DATA(rights), &passed, sizeof passed);
  }
  for (;;) {
    if (::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return {};
    if (errno != EINTR) return fail_errno(errno);
  }
}

// The kernel says ECONNRESET once, before the messages that the peer sent, if the peer closed the socket with messages
// unread. The end behind them says the same.
result<received_message> receive_message(int socket, std::span<std::byte> into) noexcept {
  iovec part{into.data(), into.size()};
  alignas(cmsghdr) std::byte control[CMSG_SPACE(most_passed * sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t size = -1;
  do size = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (size < 0 && (errno == EINTR || errno == ECONNRESET));
  if (size < 0) return fail_errno(errno);
  received_message got;
  got.size = static_cast<std::size_t>(size);
  got.truncated = (message.msg_flags & MSG_TRUNC) != 0;
  got.refused = (message.msg_flags & MSG_CTRUNC) != 0;
  take_descriptors(message, got);
  return got;
}

}  // namespace uring6::inline v0
