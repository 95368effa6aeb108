// How a thread that does not run a loop learns of its ring's news, and how one ring wakes another.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <utility>

#include "uring/ring.hpp"

namespace uring6::inline v0::detail {

result<int> ring::notify() noexcept {
  if (forked()) return fail(errc::forked);
  if (news_) return news_set_.get();
  if (!mine()) return fail(errc::wrong_thread);
  file_descriptor made(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!made) return fail_errno(errno);
  file_descriptor set(::epoll_create1(EPOLL_CLOEXEC));
  if (!set) return fail_errno(errno);
  for (const int each : {made.get(), ring_.ring_fd}) {
    epoll_event readable{.events = EPOLLIN, .data = {.fd = each}};
    if (::epoll_ctl(set.get(), EPOLL_CTL_ADD, each, &readable) != 0) return fail_errno(errno);
  }
  if (const int code = driver_->signal_by(made.get()); code < 0) return fail_errno(-code);
  news_ = std::move(made);
  news_set_ = std::move(set);
  return news_set_.get();
}

void ring::signal_descriptor() const noexcept {
  assert(notifies());
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(news_.get(), &one, sizeof one);
}

void ring::drain_descriptor(bool reregister) noexcept {
  if (!news_) return;
  std::uint64_t count = 0;
  [[maybe_unused]] const auto taken = ::read(news_.get(), &count, sizeof count);
  if (reregister) driver_->signal_by(news_.get());
}

bool ring::wake(const ring& other) noexcept {
  // Entries that an earlier enter left in the submission queue would go along, and are not this call's to submit.
  const bool is_free = ::io_uring_sq_ready(&ring_) == 0;
  if (!features_.messages || !other.features_.messages || !submitter_.made() || forked() || !is_free) return false;
  ++counters_.enters;
  if (!driver_->wake(other.ring_.ring_fd)) return false;
  ++counters_.messages;
  return true;
}

}  // namespace uring6::inline v0::detail
