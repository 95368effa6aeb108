#include "uring/kernel/kernel_driver.hpp"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <new>
#include <utility>

#include "uring/kernel/completion_order.hpp"
#include "uring/kernel/setup.hpp"
#include "uring/kernel_abi.hpp"

namespace uring6::inline v0::detail {
namespace {

__kernel_timespec to_timespec(std::chrono::nanoseconds duration) noexcept {
  const auto count = std::max<std::int64_t>(duration.count(), 0);
  return {.tv_sec = count / 1'000'000'000, .tv_nsec = count % 1'000'000'000};
}

}  // namespace

result<std::unique_ptr<ring_driver>> kernel_driver::create(const ring_options& options, ::io_uring& ring,
                                                           ring_features& features, std::string& reason) {
  std::unique_ptr<kernel_driver> made(new kernel_driver(ring, options.busy_poll));
  if (auto done = set_up_ring(options, ring, features, reason); !done) return fail(done.error());
  made->owns_ = true;
  // Here, and not when the first empty datagram comes: a program may forbid itself system calls between the two.
  features.ordered_completions = completions_keep_order(features.setup_flags);
  features.counts_pieces = true;
  return std::unique_ptr<ring_driver>(std::move(made));
}

kernel_driver::~kernel_driver() {
  if (owns_) ::io_uring_queue_exit(&ring_);
}

// The memory of the queues is not mapped in the child.
void kernel_driver::leave_to_parent() noexcept {
  owns_ = false;
  ::close(ring_.ring_fd);
}

int kernel_driver::enable(ring_features& features) noexcept {
  if (ring_.flags & IORING_SETUP_R_DISABLED) {
    // The function for it is missing from liburing 2.3's shared library.
    const auto fd = static_cast<unsigned>(ring_.ring_fd);
    if (const int code = ::io_uring_register(fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0); code < 0) return code;
  }
  if (busy_poll_.count() > 0) register_busy_poll(features);
  features.registered_fd = ::io_uring_register_ring_fd(&ring_) == 1;
  return 0;
}

// A ring that does not poll devices works as well, only slower: why it does not stands among the refusals.
void kernel_driver::register_busy_poll(ring_features& features) noexcept {
  kernel_abi::napi wanted{
      .busy_poll_to = static_cast<std::uint32_t>(busy_poll_.count()), .prefer_busy_poll = 1, .rest = {}};
  const auto fd = static_cast<unsigned>(ring_.ring_fd);
  const int code = ::io_uring_register(fd, kernel_abi::register_napi, &wanted, 1);
  features.busy_poll = code == 0;
  if (code == 0) return;
  try {
    features.refused.push_back(explain_no_busy_poll(-code));
  } catch (const std::bad_alloc&) {
    // The reason is for `probe` only.
  }
}

int kernel_driver::enter(unsigned wait_for, std::optional<std::chrono::nanoseconds> timeout) noexcept {
  if (wait_for == 0) return ::io_uring_submit_and_get_events(&ring_);
  if (!timeout) return ::io_uring_submit_and_wait(&ring_, wait_for);
  __kernel_timespec duration = to_timespec(*timeout);
  ::io_uring_cqe* unused = nullptr;
  return ::io_uring_submit_and_wait_timeout(&ring_, &unused, wait_for, &duration, nullptr);
}

// io_uring_submit_and_wait_min_timeout came with liburing 2.8.
//
// With DEFER_TASKRUN the kernel counts pieces of deferred work against the number waited for, not completions, and all
// datagrams of one socket are one piece: a plain wait for several sleeps until its timeout. This wait does not, because
// after the time to gather the kernel itself lowers the number to 1.
int kernel_driver::enter_and_gather(std::chrono::nanoseconds timeout, std::chrono::microseconds gather) noexcept {
  constexpr unsigned batch = 32;  // sockets that are ready: then there is no use in waiting for more
  ::io_uring_sq& queue = ring_.sq;
  const unsigned mask = queue.ring_entries - 1;
  for (; queue.sqe_head != queue.sqe_tail; ++queue.sqe_head) {
    if (queue.array) queue.array[queue.sqe_head & mask] = queue.sqe_head & mask;
  }
  __atomic_store_n(queue.ktail, queue.sqe_tail, __ATOMIC_RELEASE);
  const unsigned unsent = queue.sqe_tail - __atomic_load_n(queue.khead, __ATOMIC_ACQUIRE);

  const __kernel_timespec until = to_timespec(timeout);
  kernel_abi::getevents_arg argument{.sigmask = 0,
                                     .sigmask_sz = 0,
                                     .min_wait_usec = static_cast<std::uint32_t>(gather.count()),
                                     .ts = reinterpret_cast<std::uint64_t>(&until)};
  unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
  if (ring_.enter_ring_fd != ring_.ring_fd) flags |= IORING_ENTER_REGISTERED_RING;
  return ::io_uring_enter2(static_cast<unsigned>(ring_.enter_ring_fd), unsent, batch, flags,
                           reinterpret_cast<sigset_t*>(&argument), sizeof argument);
}

int kernel_driver::add_buffers(::io_uring_buf_reg& registration) noexcept {
  return ::io_uring_register_buf_ring(&ring_, &registration, 0);
}

void kernel_driver::remove_buffers(std::uint16_t group) noexcept {
  ::io_uring_unregister_buf_ring(&ring_, group);
}

int kernel_driver::signal_by(int eventfd) noexcept {
  if (std::exchange(signals_, false)) ::io_uring_unregister_eventfd(&ring_);
  const int code = ::io_uring_register_eventfd(&ring_, eventfd);
  signals_ = code == 0;
  return code;
}

// Enters at once: the thread that posts work may go on to do its own share of it, and its next enter may be long in
// coming.
bool kernel_driver::wake(int other_ring) noexcept {
  assert(::io_uring_sq_ready(&ring_) == 0);
  ::io_uring_sqe* const entry = ::io_uring_get_sqe(&ring_);
  ::io_uring_prep_msg_ring(entry, other_ring, 0, without_operation::completed, 0);
  entry->user_data = without_operation::refused_message;
  entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
  if (::io_uring_submit(&ring_) != 1) {
    // The entry stays in the queue: the next enter submits it as a NOP.
    ::io_uring_prep_nop(entry);
    entry->user_data = without_operation::completed;
    return false;
  }
  // The kernel carries a message out while it submits it, so a refusal is in the completion queue now, unless that
  // queue is full.
  if (__atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_CQ_OVERFLOW) return false;
  unsigned head = 0;
  ::io_uring_cqe* each = nullptr;
  io_uring_for_each_cqe(&ring_, head, each) {
    if (each->user_data == without_operation::refused_message) return false;
  }
  return true;
}

void kernel_driver::cancel_all() noexcept {
  ::io_uring_sync_cancel_reg all{};
  all.fd = -1;
  all.flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
  all.timeout = {.tv_sec = -1, .tv_nsec = -1};
  (void)::io_uring_register(static_cast<unsigned>(ring_.ring_fd), IORING_REGISTER_SYNC_CANCEL, &all, 1);
}

}  // namespace uring6::inline v0::detail
