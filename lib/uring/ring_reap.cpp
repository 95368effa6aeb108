// Completions to their operations, and the end of operations that the kernel may not go on with.
#include <poll.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <span>
#include <utility>

#include "uring/cache.hpp"
#include "uring/ring.hpp"
#include "uring/tsan.hpp"

namespace uring6::inline v0::detail {
namespace {

// With more than `few` completions the reaper prefetches their operations, `fetched_at_once` of them at a time: so many
// fetches are under way at once. Both are choices, not measured one by one.
constexpr unsigned few = 4;
constexpr unsigned fetched_at_once = 8;

}  // namespace

// nullptr: the entry has no operation, or the ring has disowned it.
operation* ring::owner_of(std::uint64_t user_data) const noexcept {
  if (is_without_operation(user_data)) return nullptr;
  const slot& owner = slots_[static_cast<std::uint32_t>(user_data)];
  return owner.generation == user_data >> 32 ? owner.op : nullptr;
}

void operation::complete_run(const ::io_uring_cqe* first, std::size_t count) noexcept {
  for (const ::io_uring_cqe& each : std::span(first, count)) complete({each.res, each.flags});
}

// Delivers the completion that ends its operation.
void ring::deliver_last(const ::io_uring_cqe& entry) noexcept {
  operation* const owner = owner_of(entry.user_data);
  if (!owner) return;
  if (entry.res > 0) last_octets_ += static_cast<std::uint32_t>(entry.res);
  reaped_from_kernel(owner);
  release_slot(*owner);
  owner->complete({entry.res, entry.flags});
}

const ::io_uring_cqe& ring::completion_at(unsigned at) const noexcept {
  return ring_.cq.cqes[at & (features_.completion_entries - 1)];
}

// Delivers consecutive completions of one operation, none of them its last, in one call. Returns how many; 0 if the
// first one ends its operation.
unsigned ring::deliver_run(unsigned from, unsigned tail) noexcept {
  const ::io_uring_cqe* const first = &completion_at(from);
  const unsigned index = from & (features_.completion_entries - 1);
  const unsigned most = std::min(tail - from, features_.completion_entries - index);
  unsigned count = 0;
  std::uint64_t octets = 0;
  for (; count < most; ++count) {
    const ::io_uring_cqe& entry = first[count];
    if (entry.user_data != first->user_data || !(entry.flags & IORING_CQE_F_MORE)) break;
    if (entry.res > 0) octets += static_cast<std::uint32_t>(entry.res);
  }
  operation* const owner = count > 0 ? owner_of(first->user_data) : nullptr;
  if (owner) {
    last_octets_ += octets;
    reaped_from_kernel(owner);
    owner->complete_run(first, count);
  }
  return count;
}

// Calls f with the operation of each of these completions, once for several in a row.
template <class F>
void ring::for_each_owner(unsigned from, unsigned to, F&& f) const noexcept {
  std::uint64_t previous = without_operation::completed;
  for (unsigned at = from; at != to; ++at) {
    const std::uint64_t user_data = completion_at(at).user_data;
    if (std::exchange(previous, user_data) == user_data) continue;
    if (const operation* const owner = owner_of(user_data)) f(*owner);
  }
}

// Prefetches the operations of the next completions. If the completions of many sockets follow each other, their
// operations are in no cache, and their pages in no TLB; several fetches at once wait for the page walks together.
void ring::prefetch_owners(unsigned next, unsigned tail) const noexcept {
  constexpr std::size_t fetched = 3 * cache_line;  // octets of the object around an operation: what `complete` reads
  const unsigned middle = next + std::min(fetched_at_once, tail - next);
  const unsigned end = middle + std::min(fetched_at_once, tail - middle);
  if (completion_at(next).user_data == completion_at(end - 1).user_data) return;  // most likely all of one socket
  for_each_owner(middle, end, [](const operation& later) { fetch(&later, fetched); });
  for_each_owner(next, middle, [](const operation& soon) { soon.prefetch_for_completion(); });
}

void ring::release_slot(operation& op) noexcept {
  assert(op.in_flight() && slots_[op.slot_].op == &op && in_flight_ > 0);
  op.unlink();  // a quiet operation that failed is still in `quiet_`
  slot& owner = slots_[op.slot_];
  owner.op = nullptr;
  if (++owner.generation == 0) owner.generation = 1;
  free_slots_.push_back(op.slot_);
  op.state_ = operation::state::idle;
  --in_flight_;
}

// A quiet operation has succeeded if the kernel took it from the submission queue and posted no completion for it. The
// caller has delivered all failures before.
unsigned ring::deliver_quiet() noexcept {
  const unsigned taken = __atomic_load_n(ring_.sq.khead, __ATOMIC_ACQUIRE);
  unsigned count = 0;
  while (!quiet_.empty() && static_cast<std::int32_t>(taken - quiet_.front().submission_) > 0) {
    operation& op = quiet_.front();
    reaped_from_kernel(&op);
    release_slot(op);
    op.complete({0, 0});
    ++count;
  }
  return count;
}

// With DEFER_TASKRUN an operation on a socket, a pipe or a timer goes on only inside an enter of this thread, and there
// is none any more. Without it the canceled operations complete in any system call, and are awaited here: also a worker
// of the kernel (io-wq) that is in the middle of a read.
bool ring::end_kernel_access() noexcept {
  reap_completions();
  const std::size_t not_taken = withdraw_submissions();
  driver_->cancel_all();
  reap_completions();
  enter_ended_ = (ring_.flags & IORING_SETUP_DEFER_TASKRUN) != 0;
  if (enter_ended_) return true;
  constexpr int patience = 1'000;  // milliseconds for the next completion: a canceled operation ends at once
  pollfd completions{.fd = ring_.ring_fd, .events = POLLIN, .revents = 0};
  while (in_flight_ > not_taken && ::poll(&completions, 1, patience) > 0 && reap_completions() > 0) {
  }
  return in_flight_ <= not_taken;
}

// Turns the entries that the kernel has not taken into NOPs: a later enter could submit them when the memory that they
// name is freed. Returns how many of them are operations.
std::size_t ring::withdraw_submissions() noexcept {
  const unsigned mask = features_.submission_entries - 1;
  std::size_t operations = 0;
  for (unsigned at = __atomic_load_n(ring_.sq.khead, __ATOMIC_ACQUIRE); at != ring_.sq.sqe_tail; ++at) {
    ::io_uring_sqe& entry = ring_.sq.sqes[at & mask];
    operations += owner_of(entry.user_data) != nullptr;
    ::io_uring_prep_nop(&entry);
    entry.user_data = without_operation::completed;
  }
  return operations;
}

void ring::disown() noexcept {
  cancels_.clear();
  for (slot& each : slots_) {
    each.cancel_waits = false;
    if (!each.op) continue;
    operation& op = *each.op;
    release_slot(op);
    op.state_ = operation::state::queued;
    withdrawn_.push_back(op);
  }
  withdrawn_.splice_back(queued_);
  withdrawn_.splice_back(unplaced_);
}

unsigned ring::end_all(intrusive_list<operation>& those, int result) noexcept {
  unsigned count = 0;
  for (; !those.empty(); ++count) {
    operation& op = those.pop_front();
    op.state_ = operation::state::idle;
    op.complete({result, 0});
  }
  return count;
}

unsigned ring::reap() noexcept {
  unsigned total = forked() ? 0 : reap_completions();
  total += end_all(withdrawn_, -ECANCELED);
  if (!unplaced_.empty()) [[unlikely]]
    total += end_all(unplaced_, -ENOMEM);
  counters_.completions += total;
  last_reaped_ = total;
  return total;
}

unsigned ring::reap_completions() noexcept {
  unsigned total = 0;
  std::uint64_t previous = without_operation::completed;
  last_readers_ = 0;
  last_octets_ = 0;
  for (;;) {
    const unsigned head = *ring_.cq.khead;
    const unsigned tail = __atomic_load_n(ring_.cq.ktail, __ATOMIC_ACQUIRE);
    if (head == tail) break;
    if (tail - head > few) prefetch_owners(head, tail);
    unsigned done = 0;
    for (unsigned prefetched = 0; done != tail - head;) {
      const unsigned at = head + done;
      if (done >= prefetched && tail - at > fetched_at_once) {
        if (done > prefetched) prefetch_owners(at, tail);  // a run of completions went beyond what was prefetched
        prefetch_owners(at + fetched_at_once, tail);
        prefetched = done + fetched_at_once;
      }
      const ::io_uring_cqe& entry = completion_at(at);
      if (std::exchange(previous, entry.user_data) != entry.user_data && entry.flags & IORING_CQE_F_BUFFER)
        ++last_readers_;
      if (const unsigned run = deliver_run(at, tail)) {
        done += run;
      } else {
        deliver_last(entry);
        ++done;
      }
    }
    ::io_uring_cq_advance(&ring_, tail - head);
    total += tail - head;
  }
  // With an overflow, the completion of a failed quiet operation may not have fitted into the queue yet.
  if (!overflown()) total += deliver_quiet();
  return total;
}

}  // namespace uring6::inline v0::detail
