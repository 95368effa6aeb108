// How a thread that does not run a loop learns of its ring's news, and how one ring wakes another.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <utility>

#include "uring/ring.hpp"

namespace uring6::detail {

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
  if (const int code = ::io_uring_register_eventfd(&ring_, made.get()); code < 0) return fail_errno(-code);
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
  if (!reregister) return;
  ::io_uring_unregister_eventfd(&ring_);
  ::io_uring_register_eventfd(&ring_, news_.get());
}

// Enters at once: the thread that posts work may go on to do its own share of it, and its next enter may be long in
// coming.
bool ring::wake(const ring& other) noexcept {
  // Entries that an earlier enter left in the submission queue would go along, and are not this call's to submit.
  if (!features_.messages || !submitter_.made() || forked() || ::io_uring_sq_ready(&ring_) > 0) return false;
  ::io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
  if (!entry) return false;
  ::io_uring_prep_msg_ring(entry, other.ring_.ring_fd, 0, no_operation, 0);
  entry->user_data = refused_message;
  entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
  ++counters_.enters;
  if (::io_uring_submit(&ring_) != 1) {
    // The entry stays in the queue: the next enter submits it as a NOP.
    ::io_uring_prep_nop(entry);
    entry->user_data = no_operation;
    return false;
  }
  // The kernel carries a message out while it submits it, so a refusal is in the completion queue now, unless that
  // queue is full.
  if (overflown()) return false;
  unsigned head = 0;
  ::io_uring_cqe* each = nullptr;
  io_uring_for_each_cqe(&ring_, head, each) {
    if (each->user_data == refused_message) return false;
  }
  ++counters_.messages;
  return true;
}

}  // namespace uring6::detail
