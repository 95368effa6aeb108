#include "uring/ring.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <span>
#include <utility>

#include "uring/cache.hpp"
#include "uring/completion_order.hpp"
#include "uring/kernel_abi.hpp"
#include "uring/setup.hpp"
#include "uring/tsan.hpp"

namespace uring6::detail {
namespace {

// user_data of entries without an operation: cancel requests and messages that have arrived, and messages that the
// kernel refused. No slot has generation 0.
constexpr std::uint64_t no_operation = 0;
constexpr std::uint64_t refused_message = 1;
constexpr bool is_without_operation(std::uint64_t user_data) noexcept {
  return user_data >> 32 == 0;
}

// Of more completions than a few, what belongs to them is looked for ahead, so many at once.
constexpr unsigned few = 4;
constexpr unsigned group = 8;

__kernel_timespec to_timespec(std::chrono::nanoseconds duration) noexcept {
  const auto count = std::max<std::int64_t>(duration.count(), 0);
  return {.tv_sec = count / 1'000'000'000, .tv_nsec = count % 1'000'000'000};
}

}  // namespace

result<std::unique_ptr<ring>> ring::create(const ring_options& options) {
  std::string reason;
  return create(options, reason);
}

result<std::unique_ptr<ring>> ring::create(const ring_options& options, std::string& reason) {
  if (const auto error = fork_guard::watch()) {
    reason = "uring6: pthread_atfork";
    return fail(error);
  }
  std::unique_ptr<ring> made(new ring);
  if (auto done = set_up_ring(options, made->ring_, made->features_, reason); !done) return fail(done.error());
  made->set_up_ = true;
  // Here, and not when the first empty datagram comes: a program may forbid itself system calls between the two.
  made->features_.ordered_completions = completions_keep_order(made->features_.setup_flags);
  made->busy_poll_ = options.busy_poll;
  made->free_slots_.reserve(options.submission_entries);
  made->cancels_.reserve(options.submission_entries);
  made->slots_.reserve(options.submission_entries);
  return made;
}

ring::~ring() {
  if (!set_up_) return;
  if (forked()) {
    // The ring is the parent's, and its memory is not mapped here.
    ::close(ring_.ring_fd);
  } else {
    ::io_uring_queue_exit(&ring_);
  }
}

std::error_code ring::enable() noexcept {
  if (forked()) return errc::forked;
  if (submitter_.made()) return mine() ? std::error_code{} : make_error_code(errc::wrong_thread);
  if (!submitter_.prepare()) return make_error_code(std::errc::not_enough_memory);
  if (ring_.flags & IORING_SETUP_R_DISABLED) {
    // The function for it is missing from liburing 2.3's shared library.
    const auto fd = static_cast<unsigned>(ring_.ring_fd);
    if (const int code = ::io_uring_register(fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0); code < 0)
      return {-code, std::system_category()};
  }
  if (busy_poll_.count() > 0) register_busy_poll();
  features_.registered_fd = ::io_uring_register_ring_fd(&ring_) == 1;
  submitter_.make();
  return {};
}

// A ring that does not poll devices works as well, only slower: why it does not stands among the refusals.
void ring::register_busy_poll() noexcept {
  kernel_abi::napi wanted{
      .busy_poll_to = static_cast<std::uint32_t>(busy_poll_.count()), .prefer_busy_poll = 1, .rest = {}};
  const auto fd = static_cast<unsigned>(ring_.ring_fd);
  const int code = ::io_uring_register(fd, kernel_abi::register_napi, &wanted, 1);
  features_.busy_poll = code == 0;
  if (code == 0) return;
  try {
    features_.refused.push_back(explain_no_busy_poll(-code));
  } catch (const std::bad_alloc&) {
    // The reason is for `probe` only.
  }
}

void ring::queue(operation& op) noexcept {
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
  // Without TASKRUN_FLAG the kernel does not tell: assume that there is something to find.
  return !withdrawn_.empty() || !unplaced_.empty() || !(ring_.flags & IORING_SETUP_TASKRUN_FLAG) || has_news();
}

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

void ring::tell() const noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(news_.get(), &one, sizeof one);
}

void ring::heard(bool renew) noexcept {
  if (!news_) return;
  std::uint64_t count = 0;
  [[maybe_unused]] const auto taken = ::read(news_.get(), &count, sizeof count);
  if (!renew) return;
  ::io_uring_unregister_eventfd(&ring_);
  ::io_uring_register_eventfd(&ring_, news_.get());
}

bool ring::has_news() const noexcept {
  if (::io_uring_cq_ready(&ring_) > 0) return true;
  const unsigned flags = __atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED);
  return flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

bool ring::all_reaped() const noexcept {
  return ::io_uring_cq_ready(&ring_) == 0 && !overflown();
}

// How many pieces of deferred work are worth an enter: 0 if a single one is to be expected, or none. A multishot read
// gives its turn away after 32 datagrams (MULTISHOT_MAX_RETRY), and of many sockets 20 have theirs
// (IO_LOCAL_TW_DEFAULT_MAX); an enter that waits for one completion is content with that. So are we where they are long
// (trains): more of them at once would not stay in the cache until they are read.
unsigned ring::backlog() const noexcept {
  constexpr unsigned full_turn = 32;
  constexpr unsigned many_operations = 16;
  if (!(__atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_TASKRUN)) return 0;
  if (last_operations_ >= many_operations) return 64;
  constexpr std::uint64_t short_enough = 2048;  // octets
  return last_reaped_ >= full_turn && last_octets_ <= last_reaped_ * short_enough ? 4 : 0;
}

bool ring::overflown() const noexcept {
  return __atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_CQ_OVERFLOW;
}

// Cancels first: they end what others wait for, and must not starve behind new work.
void ring::hand_over() noexcept {
  std::size_t sent = 0;
  for (; sent < cancels_.size(); ++sent) {
    ::io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
    if (!entry) break;
    ::io_uring_prep_cancel64(entry, cancels_[sent], 0);
    entry->user_data = no_operation;
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

// False: none is free, and there is no memory for another one.
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

std::error_code ring::enter(bool wait, std::optional<std::chrono::nanoseconds> timeout) noexcept {
  if (forked()) return errc::forked;
  if (called_back_) [[unlikely]]
    return {EPERM, std::system_category()};
  hand_over();
  // What did not fit must be handed over before anything may sleep.
  if (has_queued()) wait = false;

  int code = 0;
  ++counters_.enters;
  if (const unsigned pieces = backlog(); pieces > 0) {
    // Nothing to sleep for. Should they give less than that many completions, the timeout is over at once.
    __kernel_timespec none{};
    ::io_uring_cqe* unused = nullptr;
    code = ::io_uring_submit_and_wait_timeout(&ring_, &unused, pieces, &none, nullptr);
  } else if (!wait) {
    code = ::io_uring_submit_and_get_events(&ring_);
  } else if (!timeout) {
    code = ::io_uring_submit_and_wait(&ring_, 1);
  } else {
    __kernel_timespec duration = to_timespec(*timeout);
    ::io_uring_cqe* unused = nullptr;
    code = ::io_uring_submit_and_wait_timeout(&ring_, &unused, 1, &duration, nullptr);
  }
  return entered(code);
}

std::error_code ring::enter_and_gather(std::optional<std::chrono::nanoseconds> timeout,
                                       std::chrono::microseconds gather) noexcept {
  if (!features_.min_wait) return enter(true, timeout);
  if (forked()) return errc::forked;
  if (called_back_) [[unlikely]]
    return {EPERM, std::system_category()};
  hand_over();
  if (has_queued()) return enter(false, {});
  ++counters_.enters;
  // Without a timeout, a wait with a time to gather ends with that time, completions or none: an idle loop would
  // never sleep. And the timeout must not come late.
  constexpr std::chrono::nanoseconds long_enough = std::chrono::hours(1);
  const auto limit = std::max(timeout.value_or(long_enough), std::chrono::nanoseconds(0));
  const int code = submit_and_gather(limit, std::min(gather, std::chrono::floor<std::chrono::microseconds>(limit)));
  return entered(code);
}

// io_uring_submit_and_wait_min_timeout came with liburing 2.8.
//
// With DEFER_TASKRUN the kernel counts pieces of deferred work against the number waited for, not completions, and all
// datagrams of one socket are one piece: a plain wait for several sleeps until its timeout. This wait does not, because
// after the time to gather the kernel itself lowers the number to 1.
int ring::submit_and_gather(std::chrono::nanoseconds timeout, std::chrono::microseconds gather) noexcept {
  constexpr unsigned batch = 32;  // sockets that are ready: then there is no use in waiting for more
  ::io_uring_sq& queue = ring_.sq;
  const unsigned mask = features_.submission_entries - 1;
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
  if (features_.registered_fd) flags |= IORING_ENTER_REGISTERED_RING;
  return ::io_uring_enter2(static_cast<unsigned>(ring_.enter_ring_fd), unsent, batch, flags,
                           reinterpret_cast<sigset_t*>(&argument), sizeof argument);
}

// Enters at once: the thread that posts work may go on to do its own share of it, and its next enter may be long in
// coming.
bool ring::wake(const ring& other) noexcept {
  // What an enter has left in the submission queue is no business of this one.
  if (!features_.messages || !submitter_.made() || forked() || ::io_uring_sq_ready(&ring_) > 0) return false;
  ::io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
  if (!entry) return false;
  ::io_uring_prep_msg_ring(entry, other.ring_.ring_fd, 0, no_operation, 0);
  entry->user_data = refused_message;
  entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
  ++counters_.enters;
  if (::io_uring_submit(&ring_) != 1) {
    // It stays in the queue: let it go with the next enter as nothing.
    ::io_uring_prep_nop(entry);
    entry->user_data = no_operation;
    return false;
  }
  // A message is carried out while it is submitted, so its refusal is there by now, unless it found no room.
  if (overflown()) return false;
  unsigned head = 0;
  ::io_uring_cqe* each = nullptr;
  io_uring_for_each_cqe(&ring_, head, each) {
    if (each->user_data == refused_message) return false;
  }
  ++counters_.messages;
  return true;
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

// nullptr: the entry has no operation, or the ring has disowned it.
operation* ring::owner_of(std::uint64_t user_data) const noexcept {
  if (is_without_operation(user_data)) return nullptr;
  const slot& owner = slots_[static_cast<std::uint32_t>(user_data)];
  return owner.generation == user_data >> 32 ? owner.op : nullptr;
}

void operation::complete_run(const ::io_uring_cqe* first, std::size_t count) noexcept {
  for (const ::io_uring_cqe& each : std::span(first, count)) complete({each.res, each.flags});
}

// The one that ends its operation.
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

// Those of one operation that follow each other and do not end it are delivered together. Returns how many; none if the
// first one is its last.
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

// Calls f for what each of these completions belongs to, once where several in a row do.
template <class F>
void ring::for_each_owner(unsigned from, unsigned to, F&& f) const noexcept {
  std::uint64_t previous = no_operation;
  for (unsigned at = from; at != to; ++at) {
    const std::uint64_t user_data = completion_at(at).user_data;
    if (std::exchange(previous, user_data) == user_data) continue;
    if (const operation* const owner = owner_of(user_data)) f(*owner);
  }
}

// Where many operations complete one after the other, as those of many sockets, what they belong to is in no cache, and
// in no TLB: looked for ahead, and for several at once, because a fetch waits until it knows the page.
void ring::look_ahead(unsigned next, unsigned tail) const noexcept {
  constexpr std::size_t looked_at = 3 * cache_line;  // of what an operation is part of
  const unsigned middle = next + std::min(group, tail - next);
  const unsigned end = middle + std::min(group, tail - middle);
  if (completion_at(next).user_data == completion_at(end - 1).user_data) return;  // one socket's, most likely
  for_each_owner(middle, end, [](const operation& later) { fetch(&later, looked_at); });
  for_each_owner(next, middle, [](const operation& soon) { soon.prefetch_for_completion(); });
}

void ring::release_slot(operation& op) noexcept {
  op.unlink();  // a quiet one that failed
  slot& owner = slots_[op.slot_];
  owner.op = nullptr;
  if (++owner.generation == 0) owner.generation = 1;
  free_slots_.push_back(op.slot_);
  op.state_ = operation::state::idle;
  --in_flight_;
}

// Failures have been delivered: what the kernel has taken off the submission queue and said nothing of, it
// did.
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

bool ring::call_back() noexcept {
  reap_completions();
  withdraw_submissions();
  ::io_uring_sync_cancel_reg all{};
  all.fd = -1;
  all.flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
  all.timeout = {.tv_sec = -1, .tv_nsec = -1};
  const int code = ::io_uring_register(static_cast<unsigned>(ring_.ring_fd), IORING_REGISTER_SYNC_CANCEL, &all, 1);
  reap_completions();
  if (code >= 0 || code == -ENOENT) return true;
  // A worker of the kernel (io-wq) that reads a regular file meanwhile goes on to the end of that read; all that waits
  // for a socket, a pipe or a timer waits for an enter.
  called_back_ = (ring_.flags & IORING_SETUP_DEFER_TASKRUN) != 0;
  return called_back_ || in_flight_ == 0;
}

// Another enter could succeed, when the memory that they name has gone.
void ring::withdraw_submissions() noexcept {
  const unsigned mask = features_.submission_entries - 1;
  for (unsigned at = __atomic_load_n(ring_.sq.khead, __ATOMIC_ACQUIRE); at != ring_.sq.sqe_tail; ++at) {
    ::io_uring_sqe& entry = ring_.sq.sqes[at & mask];
    ::io_uring_prep_nop(&entry);
    entry.user_data = no_operation;
  }
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
  std::uint64_t previous = no_operation;
  last_operations_ = 0;
  last_octets_ = 0;
  for (;;) {
    const unsigned head = *ring_.cq.khead;
    const unsigned tail = __atomic_load_n(ring_.cq.ktail, __ATOMIC_ACQUIRE);
    if (head == tail) break;
    if (tail - head > few) look_ahead(head, tail);
    unsigned done = 0;
    for (unsigned looked_for = 0; done != tail - head;) {
      const unsigned at = head + done;
      if (done >= looked_for && tail - at > group) {
        if (done > looked_for) look_ahead(at, tail);  // a run went past it
        look_ahead(at + group, tail);
        looked_for = done + group;
      }
      const ::io_uring_cqe& entry = completion_at(at);
      if (std::exchange(previous, entry.user_data) != entry.user_data) ++last_operations_;
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
  // A failure may be among the completions that did not fit: until they have come, silence means nothing.
  if (!overflown()) total += deliver_quiet();
  return total;
}

}  // namespace uring6::detail
