#include "uring/readiness/ring_queues.hpp"

#include <bit>
#include <new>

namespace uring6::inline v0::detail {

bool ring_queues::create(::io_uring& ring, unsigned submissions, unsigned completions) noexcept {
  assert(std::has_single_bit(submissions) && std::has_single_bit(completions));
  static_assert(alignof(::io_uring_sqe) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
  completion_memory_.reset(new (std::nothrow) std::byte[completions * sizeof(::io_uring_cqe)]());
  submission_memory_.reset(new (std::nothrow) std::byte[submissions * sizeof(::io_uring_sqe)]());
  if (!completion_memory_ || !submission_memory_) return false;
  entries_ = completions;
  mask_ = completions - 1;
  submission_entries_ = submissions;
  submission_mask_ = submissions - 1;

  ring = {};
  ring.cq.khead = &head_;
  ring.cq.ktail = &tail_;
  ring.cq.kring_mask = &mask_;
  ring.cq.kring_entries = &entries_;
  ring.cq.kflags = &none_;
  ring.cq.koverflow = &none_;
  ring.cq.cqes = this->completions();
  ring.cq.ring_mask = mask_;
  ring.cq.ring_entries = entries_;
  ring.sq.khead = &submission_head_;
  ring.sq.ktail = &submission_tail_;
  ring.sq.kring_mask = &submission_mask_;
  ring.sq.kring_entries = &submission_entries_;
  ring.sq.kflags = &flags_;
  ring.sq.kdropped = &none_;
  ring.sq.sqes = reinterpret_cast<::io_uring_sqe*>(submission_memory_.get());
  ring.sq.ring_mask = submission_mask_;
  ring.sq.ring_entries = submission_entries_;
  return true;
}

}  // namespace uring6::inline v0::detail
