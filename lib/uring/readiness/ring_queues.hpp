// The queues of an ::io_uring in this process's memory, and the end at which the kernel would post completions.
#pragma once

#include <liburing.h>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace uring6::inline v0::detail {

class ring_queues {
 public:
  /// Makes queues of so many entries (powers of two) and points `ring` to them. False: there is no memory.
  bool create(::io_uring& ring, unsigned submissions, unsigned completions) noexcept;

  /// How many completions fit.
  unsigned room() const noexcept { return entries_ - (tail_ - __atomic_load_n(&head_, __ATOMIC_ACQUIRE)); }
  bool empty() const noexcept { return room() == entries_; }

  /// Precondition (asserted): `room` is not 0.
  void post(std::uint64_t user_data, std::int32_t result, std::uint32_t flags) noexcept {
    assert(room() > 0 && "a completion is posted only where there is room for it");
    ::io_uring_cqe& entry = completions()[tail_ & (entries_ - 1)];
    entry.user_data = user_data;
    entry.res = result;
    entry.flags = flags;
    __atomic_store_n(&tail_, tail_ + 1, __ATOMIC_RELEASE);
  }

  /// The submission queue's end at which the kernel would take entries.
  unsigned& submission_head() noexcept { return submission_head_; }

  /// Shows in the ring's flags whether an enter would find work (IORING_SQ_TASKRUN).
  void show_work(bool some) noexcept { show(some ? IORING_SQ_TASKRUN : 0U); }

  /// Shows exactly these flags (IORING_SQ_*).
  void show(unsigned flags) noexcept { __atomic_store_n(&flags_, flags, __ATOMIC_RELAXED); }

 private:
  ::io_uring_cqe* completions() noexcept { return reinterpret_cast<::io_uring_cqe*>(completion_memory_.get()); }

  unsigned head_ = 0;
  unsigned tail_ = 0;
  unsigned entries_ = 0;
  unsigned mask_ = 0;
  unsigned submission_head_ = 0;
  unsigned submission_tail_ = 0;
  unsigned submission_entries_ = 0;
  unsigned submission_mask_ = 0;
  unsigned flags_ = 0;
  unsigned none_ = 0;  // counters that stay 0: dropped entries, overflows
  // Octets, because the kernel's types end in arrays without a length, of which C++ makes no arrays.
  std::unique_ptr<std::byte[]> completion_memory_;
  std::unique_ptr<std::byte[]> submission_memory_;
};

}  // namespace uring6::inline v0::detail
