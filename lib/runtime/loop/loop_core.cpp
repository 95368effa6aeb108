#include "runtime/loop/loop_core.hpp"

#include <fmt/core.h>
#include <cassert>

#include <bit>
#include <cstdio>
#include <exception>
#include <new>

#include "sys/socket/refusal.hpp"
#include "sys/trace/probe_point.hpp"
#include "uring/cache.hpp"
#include "uring/fork_guard.hpp"
#include "uring6/detail/open_train.hpp"

namespace uring6::inline v0::detail {
namespace {

// Of many coroutines that waited no frame is in the cache: those behind the first one are fetched, so many at once.
constexpr unsigned together = 8;

void fetch_frames(const intrusive_list<ready_node>& round) noexcept {
  constexpr std::size_t looked_at = 6 * cache_line;
  const list_hook* at = round.first()->next;
  for (unsigned i = 0; i < together && !round.is_end(at); ++i, at = at->next) {
    fetch(static_cast<const ready_node*>(at)->handle.address(), looked_at);
  }
}

/// Nothing is cut to what the kernel takes: a value out of range is an error.
bool in_range(const loop_options& options) noexcept {
  using namespace std::chrono_literals;
  const auto within = [](std::chrono::microseconds value, std::chrono::microseconds most) {
    return value.count() >= 0 && value <= most;
  };
  return options.submission_entries >= 1 && options.submission_entries <= 32'768 && options.completion_entries >= 1 &&
         options.completion_entries <= 65'536 && options.receive_buffers >= 2 && options.receive_buffers <= 32'768 &&
         std::has_single_bit(options.receive_buffers) && options.budget >= 1 &&
         options.clock <= loop_clock::simulated && within(options.spin, 10s) && within(options.min_wait, 1s) &&
         within(options.busy_poll, 1s);
}

}  // namespace

constinit thread_local loop_core* running_loop = nullptr;

loop_core* current_loop() noexcept {
  return running_loop;
}

namespace {

// A child that is forked inside of a coroutine is not inside of the loop any more.
constinit fork_handler leaves_loop([] {
  running_loop = nullptr;
  this_threads_train = {};
});

}  // namespace

class loop_core::adopted {
 public:
  explicit adopted(loop_core& loop) noexcept
      : loop_(loop), before_(std::exchange(running_loop, &loop)), ran_before_(std::exchange(loop.running_, true)) {}
  adopted(const adopted&) = delete;
  adopted& operator=(const adopted&) = delete;
  ~adopted() {
    // In the child of a fork no loop runs.
    assert((running_loop == &loop_ || !running_loop) && "runs of several loops end in the reverse order");
    this_threads_train.close();
    loop_.running_ = ran_before_;
    running_loop = before_;
  }

 private:
  loop_core& loop_;
  loop_core* before_;
  bool ran_before_;
};

result<std::shared_ptr<loop_core>> loop_core::create(const loop_options& options, std::string& reason) {
  reason = "uring6::loop_options";
  if (!in_range(options)) return fail(errc::out_of_range);
  if (const auto error = leaves_loop.ensure()) {
    reason = fork_handler_refused;
    return fail(error);
  }
  std::shared_ptr<loop_core> made(new loop_core(options));
  if (options.measure_turns) made->measured_ = std::make_unique<turn_times>();
  auto ring = ring::create({.submission_entries = options.submission_entries,
                            .completion_entries = options.completion_entries,
                            .min_wait = options.min_wait.count() > 0,
                            .busy_poll = options.busy_poll,
                            .driver = options.driver},
                           reason);
  if (!ring) return fail(ring.error());
  made->ring_ = std::move(*ring);
  if (auto opened = made->wakeup_.open(); !opened) {
    reason = explain_refused_call("eventfd", "eventfd2", opened.error().value());
    return fail(opened.error());
  }
  return made;
}

loop_core::~loop_core() {
  if (ring_ && !ended_) shut_down();
}

std::error_code loop_core::check_thread() const noexcept {
  if (ring_->forked()) return errc::forked;
  if (!ring_->mine()) return errc::wrong_thread;
  return {};
}

std::error_code loop_core::check_owner() const noexcept {
  if (runs_here()) return {};
  if (running_loop) return errc::wrong_thread;
  return check_thread();
}

void loop_core::end_program(const char* what) noexcept {
  fmt::print(stderr,
             "uring6: {} was destroyed on another thread than its loop's, which still lives: do it there "
             "(event_loop::post), or when that thread has ended\n",
             what);
  std::fflush(stderr);
  std::terminate();
}

void loop_core::end_sandboxed_program() const noexcept {
  fmt::print(
      stderr,
      "uring6: io_uring_enter and io_uring_register are refused, and the kernel may still read into the memory of "
      "{} operations, which cannot be ended: do not forbid them while a loop lives\n",
      ring_->in_flight());
  std::fflush(stderr);
  std::terminate();
}

std::error_code loop_core::begin() noexcept {
  if (ended_) return errc::closed;
  if (const auto error = ring_->enable()) return error;
  if (running_) return make_error_code(std::errc::resource_deadlock_would_occur);
  if (measured_) span_began_ = std::chrono::steady_clock::now();
  return {};
}

std::error_code loop_core::run_until(const bool& done) {
  if (const auto error = begin()) return error;
  const adopted running(*this);
  std::error_code error;
  while (!done && !error) turn(&done, true, error);
  return error;
}

result<bool> loop_core::run_once() {
  if (const auto error = begin()) return fail(error);
  const adopted running(*this);
  std::error_code error;
  const unsigned busy = turn(nullptr, false, error);
  if (error) return fail(error);
  return busy > 0;
}

// Three steps in this order, as before a sleep: drain the descriptor, declare that the loop sleeps, look for work. A
// post before the declaration is seen by the look. A post after it signals the descriptor, and takes the declaration
// back, so that no other post signals: its signal must not be drained.
result<std::optional<clock::time_point>> loop_core::poll() {
  constexpr int max_turns = 16;  // a choice: the host runs other work, too, and calls again
  if (const auto error = begin()) return fail(error);
  const adopted running(*this);
  for (int turns = 0; turns < max_turns; ++turns) {
    std::error_code error;
    turn(nullptr, false, error);
    if (error) return fail(error);
    ring_->drain_descriptor(foreign_descriptor_waits_ > 0);
    if (ring_->notifies()) asleep_.store(sleeping::in_host, std::memory_order_seq_cst);
    publish_buffers();  // what the turn reaped may wait for buffers that are there
    if (!at_rest()) continue;
    if (timers_.empty()) return std::nullopt;
    if (options_.clock == loop_clock::steady) return timers_.next();
    if (!may_skip_sleep()) return std::nullopt;
    go_to(std::max(timers_.next(), now()));
  }
  return std::chrono::steady_clock::now();
}

// A read that finds no buffer takes those of the spins: they go by the ring until the next one.
void loop_core::publish_buffers() noexcept {
  for (const auto& pool : pools_) {
    if (!pool) continue;
    if (pool->reads_wait()) [[unlikely]]
      spinner_.stop_watching();
    if (pool->publish()) progress_expected_ = true;
  }
}

bool loop_core::at_rest() const noexcept {
  return ready_.empty() && outbound_.empty() && !progress_expected_ && inbox_.empty() && !ring_->has_queued() &&
         !ring_->has_news();
}

// What the last task wrote must still go out.
std::error_code loop_core::end_run() noexcept {
  flush_outbound();
  std::error_code error;
  while (ring_->has_queued() && !error) error = enter_and_reap(false);
  if (error == errc::forked) return {};  // what was queued is the parent's
  return error;
}

unsigned loop_core::turn(const bool* done, bool may_sleep, std::error_code& error) {
  assert(running_ && !ended_ && (runs_here() || ring_->forked()) && "a turn is a part of a run");
  assert(!error && "the run has ended with this error");
  ++turns_;
  URING6_PROBE(turn_begin, this);
  this_threads_train.close();
  budget_left_ = options_.budget;
  destroy_frames();
  unsigned busy = run_ready(done);
  if (done && *done) {
    error = end_run();
    return busy;
  }
  const unsigned posts = inbox_.run();
  posts_ += posts;
  busy += posts;
  if (done && *done) {  // a posted function resumed the last task itself
    error = end_run();
    return busy;
  }
  if (!timers_.empty()) busy += timers_.expire(now(), measured_ ? &measured_->late : nullptr);
  const std::uint64_t sends_before = sends_;
  flush_outbound();
  busy += static_cast<unsigned>(sends_ - sends_before);
  publish_buffers();

  const bool progress_expected = std::exchange(progress_expected_, false);
  bool wait = may_sleep && ready_.empty() && outbound_.empty() && !progress_expected;
  if (wait) {
    if (wakeup_.idle()) ring_->queue(wakeup_);
    asleep_.store(sleeping::in_ring, std::memory_order_seq_cst);
    if (!inbox_.empty()) wait = false;
  }
  if (wait && spinner_.worthwhile() && spin()) {
    wait = false;
  } else if (wait || !may_sleep) {
    spinner_.stop_watching();
  } else {
    spinner_.read_watched_once();
  }
  if (wait) {
    // A spin that gave up gave its buffer back: a read may wait for that.
    publish_buffers();
    if (progress_expected_) wait = false;
  }
  if (!wait && !ring_->has_queued() && !ring_->has_quiet() && !ring_->has_work()) {
    asleep_.store(sleeping::no, std::memory_order_relaxed);
    URING6_PROBE(turn_end, this, busy);
    return busy;
  }
  if (measured_) [[unlikely]] {
    error = enter_measured(wait);
  } else {
    error = wait ? sleep() : ring_->enter(false, {});
  }
  // What did not fit, or was not taken, goes next time, and may be quiet: a sleep then would be for good.
  if (ring_->has_queued()) progress_expected_ = true;
  asleep_.store(sleeping::no, std::memory_order_relaxed);
  busy += ring_->reap();
  if (ring_->has_quiet()) progress_expected_ = true;
  URING6_PROBE(turn_end, this, busy);
  return busy;
}

// A list taken off first: a coroutine that becomes ready meanwhile waits for the next round, so that no chain of
// wake-ups keeps the kernel waiting.
unsigned loop_core::run_ready(const bool* done) {
  intrusive_list<ready_node> round;
  round.splice_back(ready_);
  unsigned count = 0;
  while (!round.empty()) {
    if (count == options_.budget || (done && *done)) {
      round.splice_back(ready_);
      ready_.splice_back(round);
      break;
    }
    if (count % together == 0) fetch_frames(round);
    ++count;
    ready_node& next = round.pop_front();
    assert(!next.handle.done() && "the coroutine has ended already");
    resumed_ = next.handle.address();
    next.handle.resume();
  }
  resumed_ = nullptr;
  resumptions_ += count;
  return count;
}

void loop_core::destroy_frames() noexcept {
  while (!frames_to_destroy_.empty()) {
    ready_node& frame = frames_to_destroy_.pop_front();
    assert(frame.handle.done() && "the frame has variables that would be destroyed without the rest of its code");
    frame.handle.destroy();
  }
}

void loop_core::flush_outbound() noexcept {
  intrusive_list<outbound> round;
  round.splice_back(outbound_);
  while (!round.empty()) round.pop_front().flush();
}

std::error_code loop_core::sleep() noexcept {
  assert(ready_.empty() && outbound_.empty() && "there is work to do");
  std::optional<std::chrono::nanoseconds> timeout;
  if (options_.clock == loop_clock::simulated) [[unlikely]] {
    if (may_skip_sleep()) return skip_sleep();
  } else if (!timers_.empty()) {
    timeout = timers_.next() - now();
  }
  if (options_.min_wait.count() > 0) return ring_->enter_and_gather(timeout, options_.min_wait);
  return ring_->enter(true, timeout);
}

// Has a simulated clock a time to go to?
bool loop_core::may_skip_sleep() const noexcept {
  return blocking_calls_ == 0 && !timers_.empty() && timers_.next() != clock::time_point::max();
}

// An enter that does not wait, instead of a sleep. If it brought nothing, the next turn runs the next timer.
std::error_code loop_core::skip_sleep() noexcept {
  const std::error_code error = ring_->enter(false, {});
  const bool something_came = ring_->has_news() || ring_->has_quiet() || ring_->has_queued() || !inbox_.empty();
  if (!error && !something_came) go_to(std::max(timers_.next(), now()));
  return error;
}

// A function of its own, so that a turn that is not measured pays one branch.
std::error_code loop_core::enter_measured(bool wait) noexcept {
  measured_->took.record(std::chrono::steady_clock::now() - span_began_);
  const std::error_code error = wait ? sleep() : ring_->enter(false, {});
  span_began_ = std::chrono::steady_clock::now();
  return error;
}

bool loop_core::spin() noexcept {
  // What is queued goes out first: its completion may be what we spin for.
  if (ring_->has_queued()) {
    ring_->enter(false, {});
    // What did not fit does not wait until the spin is over.
    if (ring_->has_work() || ring_->has_queued()) {
      spinner_.read_watched_once();
      return true;
    }
  }
  std::optional<clock::time_point> timer;
  if (!timers_.empty()) timer = timers_.next();
  return spinner_.spin(timer, [this] { return ring_->look() || !inbox_.empty(); });
}

// On an error the reap has completed every operation with -ECANCELED: the loop is in the child of a fork, or on a
// thread that outlived the loop's own (the kernel ended the operations with that thread), or a seccomp filter forbids
// the loop's own thread to enter the ring.
std::error_code loop_core::enter_and_reap(bool wait) noexcept {
  std::error_code refused = ring_->enable();
  if (!refused) refused = ring_->enter(wait, {});
  if (refused) {
    must_end_here("a task");
    if (!check_thread() && ring_->in_flight() > 0 && !ring_->end_kernel_access()) end_sandboxed_program();
    ring_->disown();
  }
  ring_->reap();
  return refused;
}

void loop_core::shut_down() noexcept {
  if (ended_) return;
  must_end_here("a loop");
  ended_ = true;
  {
    const adopted ending(*this);
    while (!residents_.empty()) residents_.pop_front().loop_ends();
    // After that: what is turned away here and destroyed by the thread that brought it may hold a conn of this loop.
    inbox_.close();
    flush_outbound();
    ring_->cancel(wakeup_);
    drain_until([this] { return ring_->in_flight() == 0 && !ring_->has_queued(); });
    for (const auto& slot : targets_) {
      if (slot->target) slot->target->loop_ends();
    }
    destroy_frames();
  }
  timers_.clear();
  for (const auto& pool : pools_) {
    if (pool) pool->detach();
  }
}

result<std::shared_ptr<buffer_pool>> loop_core::pool(buffer_class which) noexcept {
  const auto index = static_cast<std::size_t>(which);
  assert(index < pools_.size());
  if (!pools_[index]) {
    const std::size_t size = which == buffer_class::large ? buffer_layout::large : buffer_layout::small;
    // The kernel finds group 0 without a search as long as there is no other: it is the large ones'.
    const std::uint16_t group = which == buffer_class::large ? 0 : 1;
    try {
      auto made = buffer_pool::create(*ring_, group, options_.receive_buffers, size, options_.moved_out_limit);
      if (!made) return fail(made.error());
      pools_[index] = std::move(*made);
    } catch (const std::bad_alloc&) {
      return fail(std::errc::not_enough_memory);
    }
  }
  return pools_[index];
}

remote_slot& loop_core::enroll(remote_target& target) {
  if (!free_targets_) {
    targets_.push_back(std::make_unique<remote_slot>(*this));
    free_targets_ = targets_.back().get();
  }
  remote_slot& slot = *free_targets_;
  free_targets_ = std::exchange(slot.next_free, nullptr);
  assert(!slot.target && !slot.posted() && "a slot with a call on its way would call the wrong target");
  slot.target = &target;
  return slot;
}

// A slot with a call on its way cannot get another target: it becomes free when the call has arrived.
void loop_core::strike_off(remote_slot& slot) noexcept {
  assert(slot.target != nullptr);
  slot.target = nullptr;
  if (!slot.posted()) reuse(slot);
}

void loop_core::reuse(remote_slot& slot) noexcept {
  assert(slot.target == nullptr && !slot.posted());
  assert(!slot.next_free && &slot != free_targets_ && "the slot is free already");
  slot.next_free = std::exchange(free_targets_, &slot);
}

void remote_slot::post() noexcept {
  if (!posted_.exchange(true, std::memory_order_acq_rel)) loop_.post(*this);
}

void remote_slot::run() noexcept {
  posted_.exchange(false, std::memory_order_acq_rel);
  if (target) {
    target->called();
  } else {
    loop_.reuse(*this);
  }
}

// Called on the posting thread. A thread that runs another loop sends a message from its ring to this one; any other
// thread writes to the eventfd.
void loop_core::end_sleep() noexcept {
  if (running_loop && running_loop != this && running_loop->ring_->wake(*ring_)) return;
  wakeup_.signal();
}

void loop_core::post(std::unique_ptr<inbox_message> message) noexcept {
  assert(message && message->owned && "the inbox deletes the message");
  if (inbox_.push(std::move(message))) notice_post();
}

void loop_core::post(inbox_message& message) noexcept {
  assert(!message.owned && "the message has another owner, which keeps it");
  if (inbox_.push(message)) notice_post();
}

void loop_core::notice_post() noexcept {
  switch (asleep_.exchange(sleeping::no, std::memory_order_seq_cst)) {
    case sleeping::no:
      return;
    case sleeping::in_ring:
      return end_sleep();
    case sleeping::in_host:
      return ring_->signal_descriptor();
  }
}

}  // namespace uring6::inline v0::detail
