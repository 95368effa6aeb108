#include "sys/socket/arrivals.hpp"

#include <linux/filter.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <limits>

#include "sys/socket/socket_options.hpp"

namespace uring6::inline v0 {
namespace {

constexpr std::array<sock_filter, 1> keep_nothing{{{BPF_RET | BPF_K, 0, 0, 0}}};

// Reads and discards datagrams until the socket's queue is empty. While the kernel drops new datagrams, the queue only
// shrinks. Otherwise (`is_added_to`) a peer may keep it filled, so the function stops after as many datagrams as a
// receive buffer of 4 MiB holds.
result<void> empty_queue(int fd, bool is_added_to) noexcept {
  constexpr int max_datagrams = 16'384;  // about what a receive buffer of 4 MiB holds
  for (int left = is_added_to ? max_datagrams : std::numeric_limits<int>::max(); left > 0;) {
    if (::recv(fd, nullptr, 0, MSG_DONTWAIT | MSG_TRUNC) >= 0) {
      --left;
    } else if (errno == EAGAIN) {
      return {};
    } else if (errno != EINTR) {
      return fail_errno(errno);
    }
  }
  return {};
}

}  // namespace

result<former_filter> drop_arrivals(int fd) {
  former_filter before;
  socklen_t count = 0;  // instructions
  if (::getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, nullptr, &count) != 0) {
    if (errno == EACCES) return before;  // an eBPF filter, which the kernel does not give out
    return fail_errno(errno);
  }
  before.program.resize(count);
  if (count > 0 && ::getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, before.program.data(), &count) != 0)
    return fail_errno(errno);
  const auto set = set_option(fd, option::attach_filter, std::span<const sock_filter>(keep_nothing));
  if (!set && set.error() != std::errc::operation_not_permitted) return fail(set.error());
  before.replaced = set.has_value();
  return before;
}

result<void> end_arrivals(int fd) noexcept {
  return set_option(fd, option::attach_filter, std::span<const sock_filter>(keep_nothing));
}

result<void> admit_arrivals(int fd, const former_filter& before) noexcept {
  if (const auto empty = empty_queue(fd, !before.replaced); !empty || !before.replaced) return empty;
  if (before.program.empty()) return set_option(fd, option::detach_filter, 0);
  return set_option(fd, option::attach_filter, std::span<const sock_filter>(before.program));
}

}  // namespace uring6::inline v0
