#include "sys/netlink.hpp"

#include <cerrno>
#include <memory>

namespace uring6 {
namespace {

struct close_socket {
  void operator()(mnl_socket* socket) const noexcept { mnl_socket_close(socket); }
};
using netlink_socket = std::unique_ptr<mnl_socket, close_socket>;

// The kernel fills buffers of up to 32 KiB when they are offered, and an answer must not be cut.
constexpr std::size_t buffer_size = 32 * 1024;

enum class progress { more, done };

// The answers are walked here, not by mnl_cb_run: `each` may throw, which C code between would not survive.
result<progress> take(std::span<const std::byte> received, const nlmsghdr& request, std::uint32_t port,
                      const std::function<void(const nlmsghdr&)>& each) {
  const auto* answer = reinterpret_cast<const nlmsghdr*>(received.data());
  for (auto left = static_cast<int>(received.size()); mnl_nlmsg_ok(answer, left);
       answer = mnl_nlmsg_next(answer, &left)) {
    if (!mnl_nlmsg_seq_ok(answer, request.nlmsg_seq) || !mnl_nlmsg_portid_ok(answer, port)) continue;
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
  const netlink_socket socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!socket) return fail_errno(errno);
  if (mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0) return fail_errno(errno);
  request->nlmsg_seq = 1;
  if (mnl_socket_sendto(socket.get(), request, request->nlmsg_len) < 0) return fail_errno(errno);

  std::vector<std::byte> buffer(buffer_size);
  for (;;) {
    const ssize_t size = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (size < 0) {
      if (errno == EINTR) continue;
      return fail_errno(errno);
    }
    const result<progress> now =
        take({buffer.data(), static_cast<std::size_t>(size)}, *request, mnl_socket_get_portid(socket.get()), each);
    if (!now) return fail(now.error());
    if (*now == progress::done) return {};
  }
}

}  // namespace uring6
