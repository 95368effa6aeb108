// The loop itself, behind event_loop: it owns the ring, decides what runs next, and is what conns and awaiters
// hold on to. The reaper only marks; coroutines are resumed from one place, run_ready().
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <chrono>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/loop/inbox.hpp"
#include "runtime/loop/remote_slot.hpp"
#include "runtime/loop/spinner.hpp"
#include "runtime/loop/timer_heap.hpp"
#include "runtime/loop/wakeup.hpp"
#include "uring/buffer_pool.hpp"
#include "uring/ring.hpp"
#include "uring6/detail/wait_note.hpp"
#include "uring6/detail/waiting.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/turn_times.hpp"

namespace uring6::inline v0::detail {

/// Base of what the floor above keeps once for each loop. The loop owns the object and does not look into it.
class shared_by_conns {
 protected:
  shared_by_conns() = default;
  ~shared_by_conns() = default;
};

/// The loop that the calling thread runs. Hidden and without dynamic initialisation: a load, not a call. The child
/// of a fork has none.
[[gnu::tls_model("initial-exec")]] extern constinit thread_local loop_core* running_loop;

/// Something with work to hand to the ring just before each enter (a conn with datagrams to send).
struct outbound : list_hook {
  virtual void flush() noexcept = 0;

 protected:
  ~outbound() { unlink(); }
};

class loop_core : public std::enable_shared_from_this<loop_core> {
 public:
  /// Where there is no loop, `reason` says why and what to do, in a sentence for a user.
  static result<std::shared_ptr<loop_core>> create(const loop_options& options, std::string& reason);
  loop_core(const loop_core&) = delete;
  loop_core& operator=(const loop_core&) = delete;
  ~loop_core();

  // --- the loop's thread ---

  /// Turns until `done` is true. Nothing is resumed after that.
  std::error_code run_until(const bool& done);

  /// One turn without sleeping; true if anything was run or delivered.
  result<bool> run_once();

  /// Turns until there is nothing to do, without sleeping, and leaves everything so that
  /// the descriptor of `ring().notify()` becomes readable when there is. Returns when to come again in any case; at
  /// once if it is still busy.
  result<std::optional<clock::time_point>> poll();

  /// Enters and reaps until `done()`, and resumes no coroutine: for the synchronous end of an operation. Sleeps only
  /// when the kernel has every queued operation, because quiet operations end without a completion.
  template <class Done>
  void drain_until(Done&& done) noexcept {
    for (bool wait = false; !done() && !enter_and_reap(wait);) wait = !ring_->has_queued() && !ring_->has_quiet();
  }

  /// Ends everything that is in flight and waits for the kernel's last word on it.
  void shut_down() noexcept;
  bool ended() const noexcept { return ended_; }

  void make_ready(ready_node& node) noexcept {
    assert(node.handle && "there is no coroutine to resume");
    ready_.push_back(node);
  }

  /// Destroys a frame that has reached its end, with the next turn, or with the loop: the code that runs in the frame
  /// must not destroy it.
  void destroy_later(ready_node& frame) noexcept {
    assert(frame.handle && runs_here());
    frames_to_destroy_.push_back(frame);
  }

  /// A completion without suspension costs one of the turn's budget; false when it is used up: then the
  /// coroutine goes through the ready queue, so that the others and the kernel get their turn.
  bool spend() noexcept {
    if (budget_left_ == 0) return false;
    --budget_left_;
    return true;
  }

  /// The same of up to `many`; returns of how many. What was not needed comes back in the same turn.
  unsigned spend(unsigned many) noexcept {
    assert(budget_left_ <= options_.budget);
    const unsigned granted = std::min(many, budget_left_);
    budget_left_ -= granted;
    return granted;
  }
  void refund(unsigned unspent) noexcept {
    assert(budget_left_ + unspent <= options_.budget);
    budget_left_ += unspent;
  }

  void flush_before_enter(outbound& what) noexcept {
    if (!what.linked()) outbound_.push_back(what);
  }

  void add(resident& what) noexcept { residents_.push_back(what); }
  void add_root(task_root& what) noexcept { roots_.push_back(what); }
  const intrusive_list<task_root>& roots() const noexcept { return roots_; }

  /// The frame that the loop resumed last, while it runs and may have resumed others; nullptr when none runs.
  const void* resumed() const noexcept { return resumed_; }

  /// The time by the loop's clock. Any thread.
  clock::time_point now() const noexcept {
    if (options_.clock == loop_clock::steady) [[likely]]
      return std::chrono::steady_clock::now();
    return clock::time_point(clock::duration(simulated_now_.load(std::memory_order_relaxed)));
  }

  /// Sets a simulated clock forward. Precondition (asserted): the clock is simulated, and `time` is not before `now()`.
  void go_to(clock::time_point time) noexcept {
    assert(options_.clock == loop_clock::simulated && time >= now());
    simulated_now_.store(time.time_since_epoch().count(), std::memory_order_relaxed);
  }

  /// A call of another thread begins (ends) that a coroutine waits for: meanwhile a simulated clock stands still.
  void begin_blocking_call() noexcept { ++blocking_calls_; }
  void end_blocking_call() noexcept {
    assert(blocking_calls_ > 0);
    --blocking_calls_;
  }

  detail::ring& ring() noexcept { return *ring_; }
  timer_heap& timers() noexcept { return timers_; }
  detail::spinner& spinner() noexcept { return spinner_; }
  const loop_options& options() const noexcept { return options_; }

  /// The pool of a size class; made on first use. An error if the kernel refuses the buffer ring; not_enough_memory.
  result<std::shared_ptr<buffer_pool>> pool(buffer_class which) noexcept;

  /// What all conns of this loop share. Empty until the first conn fills it.
  std::shared_ptr<shared_by_conns>& share_of_conns() noexcept { return share_of_conns_; }

  /// An operation begins (ends) that waits for a descriptor of the program, which may be an eventfd.
  void begin_foreign_wait() noexcept { ++foreign_descriptor_waits_; }
  void end_foreign_wait() noexcept {
    assert(foreign_descriptor_waits_ > 0);
    --foreign_descriptor_waits_;
  }

  /// Turns that have begun. Operations that complete in the same turn were ready at the same time.
  std::uint64_t turns() const noexcept { return turns_; }

  turn_times measured() const noexcept { return measured_ ? *measured_ : turn_times(); }

  /// Counts a system call that sent without the ring.
  void count_send() noexcept { ++sends_; }

  /// Counts a system call that read a socket without the ring.
  void count_direct_read() noexcept { ++looks_; }

  /// The next enter ends an operation that a coroutine waits for, so the loop must not sleep in it.
  void expect_progress() noexcept { progress_expected_ = true; }

  /// The slot that carries calls of other threads to `target`, until `strike_off`. Throws std::bad_alloc.
  remote_slot& enroll(remote_target& target);
  void strike_off(remote_slot& slot) noexcept;
  /// Makes a slot free whose call has arrived after its target was struck off.
  void reuse(remote_slot& slot) noexcept;

  /// Makes the calling thread the loop's, as a run would. Errors: wrong_thread, forked, those of the kernel.
  std::error_code claim() noexcept { return ring_->enable(); }

  /// The program's object of this loop. It may move.
  event_loop* handle() const noexcept { return handle_; }
  void set_handle(event_loop* handle) noexcept { handle_ = handle; }

  /// Stops every run of this loop.
  stop_source& stop() noexcept { return stop_; }

  /// The token of a stop that has been requested.
  stop_token stopped_token() const noexcept { return stopped_.get_token(); }

  /// Does the loop belong to another thread, which still lives?
  bool busy_elsewhere() const noexcept { return ring_->busy_elsewhere(); }

  /// Before `what` (a conn, ...) ends here: ends the program if this loop belongs to another thread that still lives.
  /// This thread could not cancel the operations that the kernel has, and the kernel would write to freed memory.
  void must_end_here(const char* what) const noexcept {
    if (busy_elsewhere()) [[unlikely]]
      end_program(what);
  }

  /// Is the calling thread (and process) the one that may use this loop? Errors: wrong_thread, forked.
  std::error_code check_thread() const noexcept;

  /// May a coroutine wait here? Not inside of another loop, even one of this thread: no loop would resume it.
  std::error_code check_owner() const noexcept;
  bool runs_here() const noexcept { return running_loop == this; }

  loop_stats stats() const noexcept;
  std::array<pool_stats, buffer_class_count> pool_statistics() const noexcept;

  // --- any thread ---

  /// Destroyed unrun if the loop has ended.
  void post(std::unique_ptr<inbox_message> message) noexcept;
  /// The same for one that its owner keeps. Without effect if the loop has ended.
  void post(inbox_message& message) noexcept;

 private:
  explicit loop_core(const loop_options& options)
      : options_(options), spinner_(options.clock == loop_clock::steady ? options.spin : options.spin.zero()) {
    if (options.clock == loop_clock::simulated) go_to(std::chrono::steady_clock::now());
    stopped_.request_stop();
  }

  class adopted;  // makes this loop the thread's current one for a scope

  /// Whether a post must wake the loop, and how.
  enum class sleeping : std::uint8_t { no, in_ring, in_host };

  [[noreturn]] static void end_program(const char* what) noexcept;
  [[noreturn]] void end_sandboxed_program() const noexcept;
  std::error_code begin() noexcept;
  unsigned run_ready(const bool* done);
  void destroy_frames() noexcept;
  unsigned turn(const bool* done, bool may_sleep, std::error_code& error);
  std::error_code end_run() noexcept;
  void publish_buffers() noexcept;
  bool at_rest() const noexcept;
  std::error_code enter_and_reap(bool wait) noexcept;
  void flush_outbound() noexcept;
  std::error_code sleep() noexcept;
  std::error_code enter_measured(bool wait) noexcept;
  bool may_skip_sleep() const noexcept;
  std::error_code skip_sleep() noexcept;
  void end_sleep() noexcept;
  void notice_post() noexcept;
  bool spin() noexcept;

  loop_options options_;
  std::atomic<clock::duration::rep> simulated_now_{std::numeric_limits<clock::duration::rep>::min()};
  unsigned blocking_calls_ = 0;
  event_loop* handle_ = nullptr;
  stop_source stop_;
  stop_source stopped_;  // its stop is requested at the beginning
  std::unique_ptr<detail::ring> ring_;
  intrusive_list<ready_node> ready_;
  intrusive_list<ready_node> frames_to_destroy_;
  intrusive_list<outbound> outbound_;
  intrusive_list<resident> residents_;
  intrusive_list<task_root> roots_;
  const void* resumed_ = nullptr;
  timer_heap timers_;
  std::vector<std::unique_ptr<remote_slot>> targets_;
  remote_slot* free_targets_ = nullptr;
  inbox inbox_;
  wakeup wakeup_;
  detail::spinner spinner_;
  std::array<std::shared_ptr<buffer_pool>, buffer_class_count> pools_;
  std::shared_ptr<shared_by_conns> share_of_conns_;
  unsigned budget_left_ = 0;
  bool progress_expected_ = false;
  bool running_ = false;
  bool ended_ = false;
  std::atomic<sleeping> asleep_{sleeping::no};
  unsigned foreign_descriptor_waits_ = 0;
  std::unique_ptr<turn_times> measured_;              // nullptr without loop_options::measure_turns
  std::chrono::steady_clock::time_point span_began_;  // when the last system call of a measured loop returned
  std::uint64_t turns_ = 0;
  std::uint64_t resumptions_ = 0;
  std::uint64_t posts_ = 0;
  std::uint64_t sends_ = 0;
  std::uint64_t looks_ = 0;
};

/// May something be made for the loop here? wrong_thread, forked; closed if it has been moved from.
std::error_code check_thread(const event_loop& loop) noexcept;

}  // namespace uring6::inline v0::detail
