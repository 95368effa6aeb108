#include "sys/interface/netlink.hpp"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <cassert>

#include <cerrno>
#include <memory>

namespace uring6::inline v0 {
namespace {

struct close_socket {
  void operator()(mnl_socket* socket) const noexcept { mnl_socket_close(socket); }
};
using netlink_socket = std::unique_ptr<mnl_socket, close_socket>;

// Octets: the kernel sends answers of up to 32 KiB to a socket that reads with such a buffer. A shorter buffer would
// cut them.
constexpr std::size_t buffer_size = 32 * 1024;

enum class progress { more, done };

// Tells the kernel to accept messages for this socket from the kernel alone: a send by another process then fails with
// ECONNREFUSED. What reached the socket between its bind and this call is still in its queue.
result<void> connect_to_kernel(int fd) noexcept {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;  // nl_pid 0 is the kernel's.
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) != 0) return fail_errno(errno);
  return {};
}

// Reads the next message of the kernel. A message of another process, which the kernel delivers for a sender with
// CAP_NET_ADMIN, is dropped: its nl_pid is that process's port, and only the kernel has port 0.
result<std::span<const std::byte>> receive_from_kernel(int fd, std::span<std::byte> buffer) noexcept {
  for (;;) {
    sockaddr_nl sender{};
    iovec place{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_name = &sender;
    message.msg_namelen = sizeof sender;
    message.msg_iov = &place;
    message.msg_iovlen = 1;
    const ssize_t size = ::recvmsg(fd, &message, 0);
    if (size < 0) {
      if (errno == EINTR) continue;
      return fail_errno(errno);
    }
    if (message.msg_namelen != sizeof sender || sender.nl_family != AF_NETLINK || sender.nl_pid != 0) continue;
    if ((message.msg_flags & MSG_TRUNC) != 0) return fail_errno(ENOSPC);
    assert(static_cast<std::size_t>(size) <= buffer.size());
    return std::span<const std::byte>(buffer.first(static_cast<std::size_t>(size)));
  }
}

// Walks the answers without mnl_cb_run, because `each` may throw, and an exception must not pass through C code.
result<progress> take(std::span<const std::byte> received, const nlmsghdr& request, std::uint32_t port,
                      const std::function<void(const nlmsghdr&)>& each) {
  assert(reinterpret_cast<std::uintptr_t>(received.data()) % alignof(nlmsghdr) == 0 && "answers are read in place");
  const auto* answer = reinterpret_cast<const nlmsghdr*>(received.data());
  for (auto left = static_cast<int>(received.size()); mnl_nlmsg_ok(answer, left);
       answer = mnl_nlmsg_next(answer, &left)) {
    // Not mnl_nlmsg_seq_ok and mnl_nlmsg_portid_ok, which also accept 0: the kernel's answers carry both numbers.
    if (answer->nlmsg_seq != request.nlmsg_seq || answer->nlmsg_pid != port) continue;
    if ((answer->nlmsg_flags & NLM_F_DUMP_INTR) != 0) return fail_errno(EINTR);
    switch (answer->nlmsg_type) {
      case NLMSG_ERROR: {
        const auto* outcome = netlink_header<nlmsgerr>(*answer);
        if (outcome == nullptr) return fail(errc::malformed);
        if (outcome->error != 0) return fail_errno(-outcome->error);
        return progress::done;
      }
      case NLMSG_DONE: {
        const auto* outcome = netlink_header<int>(*answer);
        if (outcome != nullptr && *outcome < 0) return fail_errno(-*outcome);
        return progress::done;
      }
      default:
        each(*answer);
    }
  }
  return progress::more;
}

}  // namespace

result<void> netlink_ask(nlmsghdr* request, const std::function<void(const nlmsghdr&)>& each) {
  assert((request->nlmsg_flags & NLM_F_REQUEST) != 0);
  assert(((request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP || (request->nlmsg_flags & NLM_F_ACK) != 0) &&
         "neither the end of a dump nor an acknowledgement would end the wait for answers");
  const netlink_socket socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!socket) return fail_errno(errno);
  if (mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0) return fail_errno(errno);
  const int fd = mnl_socket_get_fd(socket.get());
  if (const result<void> connected = connect_to_kernel(fd); !connected) return connected;
  request->nlmsg_seq = 1;
  if (mnl_socket_sendto(socket.get(), request, request->nlmsg_len) < 0) return fail_errno(errno);

  std::vector<std::byte> buffer(buffer_size);
  for (;;) {
    const auto received = receive_from_kernel(fd, buffer);
    if (!received) return fail(received.error());
    const result<progress> now = take(*received, *request, mnl_socket_get_portid(socket.get()), each);
    if (!now) return fail(now.error());
    if (*now == progress::done) return {};
  }
}

}  // namespace uring6::inline v0
