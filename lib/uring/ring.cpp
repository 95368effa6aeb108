#include "uring/ring.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <new>
#include <utility>

#include "uring/driver_choice.hpp"
#include "uring/kernel/kernel_driver.hpp"
#include "uring/readiness/readiness_driver.hpp"
#include "uring/seeded/seeded_driver.hpp"
#include "uring/tsan.hpp"

namespace uring6::inline v0::detail {
namespace {

/// Does the error of a kernel driver say that io_uring itself is refused or too old? Missing memory or descriptors
/// would stop another driver, too.
bool is_refusal(std::error_code error) noexcept {
  if (error.category() != std::system_category()) return false;
  switch (error.value()) {
    case ENOSYS:
    case EPERM:
    case EACCES:
    case EOPNOTSUPP:
      return true;
    default:
      return false;
  }
}

}  // namespace

result<std::unique_ptr<ring>> ring::create(const ring_options& options) {
  std::string reason;
  return create(options, reason);
}

result<std::unique_ptr<ring>> ring::create(const ring_options& options, std::string& reason) {
  if (const auto error = fork_guard::watch()) {
    reason = fork_handler_refused;
    return fail(error);
  }
  std::unique_ptr<ring> made(new ring);
  if (const auto error = made->choose_driver(options, reason)) return fail(error);
  made->free_slots_.reserve(options.submission_entries);
  made->cancels_.reserve(options.submission_entries);
  made->slots_.reserve(options.submission_entries);
  return made;
}

std::error_code ring::choose_driver(const ring_options& options, std::string& reason) {
  const auto asked = driver_asked_for(options.driver, reason);
  if (!asked) return asked.error();
  if (asked->seed) {
    auto seeded = seeded_driver::create(*asked->seed, options, ring_, features_, reason);
    if (!seeded) return seeded.error();
    driver_ = std::move(*seeded);
    return {};
  }
  if (asked->driver != loop_driver::readiness) {
    auto kernel = kernel_driver::create(options, ring_, features_, reason);
    if (kernel) {
      driver_ = std::move(*kernel);
      return {};
    }
    if (asked->driver == loop_driver::io_uring || !is_refusal(kernel.error())) return kernel.error();
    features_ = {};
    features_.io_uring_refused = kernel.error();
    features_.why_readiness = std::move(reason);
  }
  auto process = readiness_driver::create(options, ring_, features_, reason);
  if (!process) return process.error();
  driver_ = std::move(*process);
  return {};
}

ring::~ring() {
  if (driver_ && forked()) driver_->leave_to_parent();
}

std::error_code ring::enable() noexcept {
  if (forked()) return errc::forked;
  if (submitter_.made()) return mine() ? std::error_code{} : make_error_code(errc::wrong_thread);
  if (!submitter_.prepare()) return make_error_code(std::errc::not_enough_memory);
  if (const int code = driver_->enable(features_); code < 0) return {-code, std::system_category()};
  submitter_.make();
  return {};
}

void ring::queue(operation& op) noexcept {
  assert(op.idle() && "an operation is queued once until it has completed");
  op.state_ = operation::state::queued;
  queued_.push_back(op);
}

void ring::cancel(operation& op) noexcept {
  switch (op.state_) {
    case operation::state::idle:
      return;
    case operation::state::queued:
      op.unlink();
      withdrawn_.push_back(op);
      return;
    case operation::state::in_flight:
      if (std::exchange(slots_[op.slot_].cancel_waits, true)) return;
      cancels_.push_back(key_of(op));
      return;
  }
}

bool ring::has_work() const noexcept {
  // Without IORING_SETUP_TASKRUN_FLAG the kernel does not show deferred work, so there may be some.
  return !withdrawn_.empty() || !unplaced_.empty() || !(ring_.flags & IORING_SETUP_TASKRUN_FLAG) || has_news();
}

bool ring::has_news() const noexcept {
  if (::io_uring_cq_ready(&ring_) > 0) return true;
  const unsigned flags = __atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED);
  return flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

bool ring::look() noexcept {
  if (!(ring_.flags & IORING_SETUP_TASKRUN_FLAG) && !has_news()) enter(false, {});
  return !withdrawn_.empty() || !unplaced_.empty() || has_news();
}

bool ring::all_reaped() const noexcept {
  return ::io_uring_cq_ready(&ring_) == 0 && !overflown();
}

// For how many pieces of deferred work the next enter waits, without sleeping for them. 0: it need not wait, because at
// most one piece is to be expected.
//
// An enter that waits for one completion runs one piece of a busy socket (a multishot read ends its piece after 32
// datagrams, MULTISHOT_MAX_RETRY) or the pieces of 20 sockets (IO_LOCAL_TW_DEFAULT_MAX). If the last reap saw as much,
// more is likely to be ready. Long datagrams (trains) are the exception: they would leave the cache before they are
// read. So are reads of streams, which take no buffer of a pool: the answers to all of them would wait for the last
// piece, and all that saves is an enter in 20 reads (docs/measurements.md, "Many streams").
unsigned ring::work_to_wait_for() const noexcept {
  constexpr unsigned full_piece = 32;             // completions of one socket: MULTISHOT_MAX_RETRY
  constexpr unsigned many_readers = 16;           // below the kernel's 20, some of which have no completion
  constexpr unsigned pieces_of_many = 64;         // a choice: three times the kernel's 20
  constexpr unsigned pieces_of_one = 4;           // a choice: 128 datagrams, half of the default pool
  constexpr std::uint64_t longest_short = 2'048;  // octets on average: a datagram, not a train
  if (!features_.counts_pieces) return 0;
  if (!(__atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_TASKRUN)) return 0;
  if (last_readers_ >= many_readers) return pieces_of_many;
  return last_reaped_ >= full_piece && last_octets_ <= last_reaped_ * longest_short ? pieces_of_one : 0;
}

// Cancels first: coroutines wait for the ends of canceled operations, and new work must not delay them.
void ring::hand_over() noexcept {
  std::size_t sent = 0;
  for (; sent < cancels_.size(); ++sent) {
    ::io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
    if (!entry) break;
    ::io_uring_prep_cancel64(entry, cancels_[sent], 0);
    entry->user_data = without_operation::completed;
    slots_[static_cast<std::uint32_t>(cancels_[sent])].cancel_waits = false;
  }
  cancels_.erase(cancels_.begin(), cancels_.begin() + static_cast<std::ptrdiff_t>(sent));

  while (!queued_.empty()) {
    if (!find_slot()) {
      unplaced_.push_back(queued_.pop_front());
      continue;
    }
    const unsigned place = ring_.sq.sqe_tail;
    ::io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
    if (!entry) break;  // the rest goes with the next enter
    operation& op = queued_.pop_front();
    op.slot_ = take_slot(op);
    op.state_ = operation::state::in_flight;
    op.prepare(*entry);
    entry->user_data = key_of(op);
    if (entry->flags & IOSQE_CQE_SKIP_SUCCESS) {
      op.submission_ = place;
      quiet_.push_back(op);
    }
    ++in_flight_;
    ++counters_.submissions;
    submitted_to_kernel(&op);
  }
}

// Makes sure that a slot is free. False: there is no memory for another one.
bool ring::find_slot() noexcept {
  if (!free_slots_.empty()) [[likely]]
    return true;
  try {
    if (slots_.size() == slots_.capacity()) {
      const std::size_t room = 2 * slots_.capacity();
      free_slots_.reserve(room);
      cancels_.reserve(room);
      slots_.reserve(room);
    }
  } catch (const std::bad_alloc&) {
    return false;
  }
  slots_.push_back({});
  free_slots_.push_back(static_cast<std::uint32_t>(slots_.size() - 1));
  return true;
}

std::uint32_t ring::take_slot(operation& op) noexcept {
  const std::uint32_t index = free_slots_.back();
  free_slots_.pop_back();
  slots_[index].op = &op;
  return index;
}

std::uint64_t ring::key_of(const operation& op) const noexcept {
  return std::uint64_t{slots_[op.slot_].generation} << 32 | op.slot_;
}

std::error_code ring::check_enter() const noexcept {
  if (forked()) return errc::forked;
  if (enter_ended_) [[unlikely]]
    return {EPERM, std::system_category()};
  return {};
}

std::error_code ring::enter(bool wait, std::optional<std::chrono::nanoseconds> timeout) noexcept {
  if (const auto error = check_enter()) return error;
  hand_over();
  ++counters_.enters;
  // The timeout of 0 ends the enter if the pieces give fewer completions.
  if (const unsigned pieces = work_to_wait_for(); pieces > 0)
    return entered(driver_->enter(pieces, std::chrono::nanoseconds(0)));
  // Operations that did not fit into the submission queue must be submitted before the thread may sleep.
  return entered(driver_->enter(wait && !has_queued() ? 1 : 0, timeout));
}

std::error_code ring::enter_and_gather(std::optional<std::chrono::nanoseconds> timeout,
                                       std::chrono::microseconds gather) noexcept {
  if (!features_.min_wait) return enter(true, timeout);
  if (const auto error = check_enter()) return error;
  hand_over();
  if (has_queued()) return enter(false, {});
  ++counters_.enters;
  // Without a timeout, a wait with a time to gather ends with that time, completions or none: an idle loop would
  // never sleep. And the timeout must not come late.
  constexpr std::chrono::nanoseconds long_enough = std::chrono::hours(1);
  const auto limit = std::max(timeout.value_or(long_enough), std::chrono::nanoseconds(0));
  return entered(
      driver_->enter_and_gather(limit, std::min(gather, std::chrono::floor<std::chrono::microseconds>(limit))));
}

std::error_code ring::entered(int code) noexcept {
  if (overflown()) ++counters_.overflows;
  switch (-code) {
    case ETIME:   // the timeout passed
    case EINTR:   // a signal: the loop looks at its timers and comes again
    case EAGAIN:  // no completion yet, or the kernel is short of memory: what was not taken stays in the ring
    case EBUSY:   // the completion queue must be reaped first (before 6.x)
    case EBADR:   // the kernel ran out of memory for overflowed completions
      return {};
    default:
      if (code < 0) return {-code, std::system_category()};
      return {};
  }
}

}  // namespace uring6::inline v0::detail
