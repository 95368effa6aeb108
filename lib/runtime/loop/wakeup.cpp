#include "runtime/loop/wakeup.hpp"
#include "uring/submission.hpp"

#include <sys/eventfd.h>
#include <unistd.h>
#include <cassert>

#include <cerrno>

namespace uring6::inline v0::detail {

wakeup::~wakeup() {
  if (fd_ >= 0) ::close(fd_);
}

result<void> wakeup::open() noexcept {
  assert(fd_ < 0);
  fd_ = ::eventfd(0, EFD_CLOEXEC);
  if (fd_ < 0) return fail_errno(errno);
  return {};
}

void wakeup::signal() noexcept {
  assert(fd_ >= 0 && "the loop exists only if its eventfd could be opened");
  const std::uint64_t one = 1;
  // EAGAIN (the counter is at its maximum, 2^64 - 2) is no fault: the eventfd is readable then, and ends the sleep.
  [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
}

void wakeup::prepare(io_uring_sqe& entry) noexcept {
  assert(fd_ >= 0);
  constexpr std::uint64_t own_position = ~std::uint64_t{0};  // an eventfd has no other
  submission(entry).read(fd_, &count_, sizeof count_, own_position);
}

// Nothing to do here: each turn runs the inbox, and arms this read again before it sleeps.
void wakeup::complete(completion) noexcept {}

}  // namespace uring6::inline v0::detail
