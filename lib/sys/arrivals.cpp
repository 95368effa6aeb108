#include "sys/arrivals.hpp"

#include <linux/filter.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "sys/socket_options.hpp"

namespace uring6 {
namespace {

// Reads until the kernel says that nothing is left. It ends because nothing is added.
result<void> empty_queue(int fd) noexcept {
  for (;;) {
    if (::recv(fd, nullptr, 0, MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno == EINTR) continue;
    if (errno == EAGAIN) return {};
    return fail_errno(errno);
  }
}

}  // namespace

result<void> drop_arrivals(int fd) noexcept {
  constexpr std::array<sock_filter, 1> keep_nothing{{{BPF_RET | BPF_K, 0, 0, 0}}};
  return set_option(fd, option::attach_filter, std::span<const sock_filter>(keep_nothing));
}

result<void> admit_arrivals(int fd) noexcept {
  if (const auto empty = empty_queue(fd); !empty) return empty;
  return set_option(fd, option::detach_filter, 0);
}

}  // namespace uring6
