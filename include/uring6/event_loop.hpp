// event_loop: one thread, one ring, any number of tasks.
#pragma once

#include "uring6/version.hpp"

#include <array>
#include <chrono>
#include <concepts>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "uring6/detail/waiting.hpp"
#include "uring6/export.hpp"
#include "uring6/loop_clock.hpp"
#include "uring6/loop_driver.hpp"
#include "uring6/result.hpp"
#include "uring6/stats.hpp"
#include "uring6/stop_token.hpp"
#include "uring6/task.hpp"
#include "uring6/tasks.hpp"
#include "uring6/timer.hpp"
#include "uring6/turn_times.hpp"

namespace uring6::inline v0 {

/// Options of a loop. The defaults suit a busy UDP service.
struct loop_options {
  /// What executes the loop's operations. `automatic`: io_uring, or readiness (epoll and non-blocking calls) where
  /// io_uring is refused: by the kernel (ENOSYS, a kernel before 6.0), by kernel.io_uring_disabled, or by a sandbox at
  /// io_uring_setup, io_uring_register or io_uring_enter; never for want of memory or descriptors. `loop_stats` says
  /// which one it is, and why.
  ///
  /// The environment variable URING6_DRIVER (automatic, io_uring, readiness) overrides `automatic`.
  loop_driver driver = loop_driver::automatic;
  /// The clock of the loop's timers. `loop_clock::simulated` is for tests: the loop does not wait for its timers.
  loop_clock clock = loop_clock::steady;
  /// Entries of the submission queue: the operations that one system call hands over. 1 to 32,768. Further operations
  /// wait in the loop for the next call. 256: an answer for each of the default `receive_buffers`.
  unsigned submission_entries = 256;
  /// Entries of the completion queue, 1 to 65,536, at least as many as of the submission queue. An overflow loses
  /// nothing, but costs time; with more entries than receive buffers plus operations in flight there is none. 4096
  /// are enough for both default pools and 3,500 operations.
  unsigned completion_entries = 4096;
  /// Receive buffers of the loop, shared by all its conns. A power of two, 2 to 32,768. The loop uses them last in,
  /// first out, so it touches only as much memory as it needs at once for buffers that are lent or wait for their
  /// readers. 256 buffers for any datagram or train are about 16 MiB.
  unsigned receive_buffers = 256;
  /// Octets that each of the loop's two pools may take for datagrams moved out of its buffers. 16 MiB by default; 0:
  /// nothing is moved out.
  ///
  /// While a conn with a waiting reader finds no buffer, the pool copies the datagrams of conns without a waiting
  /// reader out of its buffers. Beyond the limit it discards such datagrams, as a full socket would, and counts them
  /// (`packet_stats::discarded`, `pool_stats::not_moved_out`).
  ///
  /// The copies that `adopt_packet` makes of a released backlog count, too. `adopt_packet` refuses a backlog that would
  /// go beyond the limit; no datagram is lost.
  std::size_t moved_out_limit = std::size_t{16} << 20;
  /// How many operations may complete without suspension, and how many coroutines may resume, before the loop asks
  /// the kernel again and lets the other coroutines run. At least 1. 512: a read and a write for each of the default
  /// `receive_buffers`. Eight writes on a conn that coalesces writes count as one operation.
  unsigned budget = 512;
  /// How long the loop looks for news before it sleeps, at most 10 s. 0: it sleeps at once. A spin is worth its
  /// processor time where a wake-up costs more than the wait (virtual machines, request-response at low latency).
  ///
  /// After four spins in a row that found nothing the loop spins before only one wait in eight, until a spin finds
  /// something. With more than 64 `receive_buffers` a spin reads up to four sockets to which datagrams come one by
  /// one, each by a system call past the ring (MSG_DONTWAIT).
  std::chrono::microseconds spin{0};
  /// How long a sleep lets completions gather, at most 1 s. 0: the loop wakes for the first completion. Without
  /// effect before Linux 6.12, as `probe` says. IORING_ENTER_EXT_ARG's min_wait_usec.
  ///
  /// An idle loop sleeps at least that long, unless 32 sockets are ready before, then takes all completions with one
  /// system call. If there are none by then, it wakes for the first one. So a datagram that ends a longer silence is
  /// not delayed. A datagram of a stream, or a post from another thread, is delayed by at most `min_wait`. Timers are
  /// on time.
  std::chrono::microseconds min_wait{0};
  /// How long the kernel may poll the network devices of the loop's sockets before it sleeps, at most 1 s. 0: no
  /// polling. It trades processor time for lower latency on network cards with NAPI, and does nothing on lo. Without
  /// effect where the kernel refuses it (before Linux 6.9), as `probe` says. IORING_REGISTER_NAPI, preferring busy
  /// poll.
  std::chrono::microseconds busy_poll{0};
  /// Whether the loop measures its turns and the lateness of its timers (`event_loop::measured_turns`). Off by default:
  /// then it costs one predicted branch a turn. On it costs two looks at the clock (about 50 ns) for each turn,
  /// however many datagrams the turn has, and a few instructions for each timer.
  bool measure_turns = false;
};

/// Runs tasks on the thread that calls `run`.
///
/// Threads: a loop and everything made with it belong to that thread; other threads may use only `post`, `request_stop`
/// and stop_source. The loop may be made on one thread and run on another, but always on the same one. Destroy it
/// there, or after that thread has ended: on another thread, while that thread lives, the destructor ends the program
/// with a message that says so.
///
/// Lifetime: conns may outlive their loop, which closes them. The child of a fork must not use the loop. A moved-from
/// loop answers `errc::closed` and drops posted functions.
class URING6_EXPORT event_loop {
 public:
  /// Throws std::system_error. Its text says what is missing (kernel, sysctl, seccomp, memlock or descriptors) and what
  /// to do about it. Codes:
  /// - those of io_uring_setup: ENOMEM, EMFILE; with `loop_driver::io_uring` EPERM and ENOSYS, too;
  /// - EPERM, EACCES or ENOSYS where a sandbox refuses eventfd2, or both io_uring and epoll_create1; with
  ///   `loop_driver::io_uring` also where it allows io_uring_setup but refuses io_uring_enter or io_uring_register;
  /// - EOPNOTSUPP before Linux 6.0, which has no multishot recvmsg to read with, for `loop_driver::io_uring`;
  /// - EINVAL for an unknown driver, also in URING6_DRIVER, and for a seed there (docs/reliability.md) while the option
  ///   names a driver;
  /// - `errc::out_of_range` for options outside of their ranges.
  ///
  /// The first loop of a process also reads a pair of sockets (socketpair, sendmsg) by a ring, to find out whether the
  /// kernel keeps the order of completions. If a sandbox refuses these calls, the loop works without that knowledge.
  explicit event_loop(const loop_options& options = {});

  /// The same without an exception; std::bad_alloc becomes `not_enough_memory`. On an error `reason` holds the text
  /// that the exception would have; after a success its content is unspecified.
  static result<event_loop> create(const loop_options& options = {});
  static result<event_loop> create(const loop_options& options, std::string& reason);

  event_loop(event_loop&&) noexcept;
  event_loop& operator=(event_loop&&) noexcept;

  /// Cancels what is still in flight, waits for the kernel's last completion of each, and frees the ring.
  ~event_loop();

  /// Runs `main` and everything it spawns until `main` has ended. Returns its value or rethrows its exception.
  ///
  /// Throws std::system_error if the loop cannot run: `errc::wrong_thread`; `errc::forked`;
  /// resource_deadlock_would_occur inside of the loop itself; `errc::closed` if it was moved from; EPERM, EACCES or
  /// ENOSYS if a sandbox has forbidden io_uring_enter or io_uring_register since the loop was made (the text says
  /// so).
  ///
  /// In the last case the tasks are dropped, and the kernel does not touch the memory of their reads and writes again,
  /// with two exceptions: a read of a regular file that the kernel has begun, and a send without a copy. On a ring
  /// without DEFER_TASKRUN (before Linux 6.1) this needs io_uring_register: if a sandbox forbids both, operations that
  /// the kernel has end the program with a message. If the last writes of the tasks cannot leave, `run` throws although
  /// `main` has ended, and the value or exception of `main` is lost.
  template <class T>
  T run(task<T> main, const std::source_location& where = std::source_location::current()) {
    bool done = false;
    auto root = [](task<T>& inner, bool& finished) -> task<T> {
      struct at_end {
        bool& flag;
        ~at_end() { flag = true; }
      } const note{finished};
      co_return co_await std::move(inner);
    };
    detail::stop_root stop(token());
    task<T> outer = root(main, done);
    outer.handle().promise().inherit_stop(stop);
    drive(outer.handle(), outer.handle().promise(), done, where);
    return outer.handle().promise().take();
  }

  /// Asks the main task and all its children to stop. Any thread. The request is permanent: a task that is run later
  /// is stopped from its start.
  void request_stop() noexcept;
  [[deprecated("the name is request_stop")]] void stop() noexcept { request_stop(); }

  /// Runs `f()` on the loop's thread, in the order of the posts. Any thread. If the loop has ended, `f` is destroyed
  /// without a call. An exception out of `f` ends the program. Throws std::bad_alloc; then nothing is posted.
  template <std::invocable F>
  void post(F f);

  // --- time ---

  /// The time by the loop's clock (`loop_options::clock`), for deadlines. A moved-from loop: CLOCK_MONOTONIC. Any
  /// thread. Inside of a task `this_task::now` tells the same.
  std::chrono::steady_clock::time_point now() const noexcept;

  /// Sets a simulated clock forward, as if the process had been held up for so long: in the next turn all timers that
  /// are due meanwhile expire, late, and an interval tells how many ticks it missed. A task that sleeps lets the time
  /// go on from timer to timer instead.
  ///
  /// Errors: `std::errc::operation_not_supported` for a loop by `loop_clock::steady`; `errc::out_of_range` for a
  /// negative duration; `errc::closed` (moved from), `errc::wrong_thread`, `errc::forked`.
  template <class Rep, class Period>
  result<void> advance(std::chrono::duration<Rep, Period> by) {
    return set_forward(detail::saturated(by));
  }

  // --- inside of another event loop: epoll, Asio, sd-event, libuv ---

  /// A descriptor that becomes readable (poll(2), epoll level- or edge-triggered) when `poll` has something to do,
  /// except for timers. Every call returns the same descriptor; the first one makes it, readable. The loop owns it:
  /// do not read or close it. It is an epoll set of the ring and of an eventfd that is registered with the ring
  /// (IORING_REGISTER_EVENTFD).
  ///
  /// Errors: EMFILE; `errc::wrong_thread`, `errc::forked`.
  result<int> descriptor();

  /// Runs what is ready, without sleeping. Call it on the loop's thread: whenever `descriptor` is readable, at the
  /// time that the last call returned, and after any change from outside of the loop's tasks (a spawn, a deadline
  /// set, a conn closed). Tasks run in a `scope` that is made with this loop.
  ///
  /// Returns the time of the next call, independent of the descriptor: that of the next timer; a time that has
  /// passed, if `poll` stopped only to let the host run; nullopt without a timer. A simulated clock goes to the next
  /// timer within the call, so the returned time, which is the host's, has passed. Errors: as `run`.
  ///
  ///     scope tasks(loop);
  ///     tasks.spawn(serve(pc));
  ///     for (;;) {
  ///       const auto next = or_throw(loop.poll());
  ///       ::epoll_wait(epoll, events, 16, milliseconds_until(next));  // watches or_throw(loop.descriptor())
  ///       ...
  ///     }
  result<std::optional<std::chrono::steady_clock::time_point>> poll();

  // --- counters, always on ---

  /// The loop's counters, on the loop's thread (so also `pools`). On another thread all are 0 while the loop's thread
  /// lives. After that thread has ended, and before the loop is first run, any thread gets the values.
  loop_stats stats() const noexcept;

  /// What executes the loop's operations: io_uring or readiness, never automatic. A moved-from loop: automatic. Any
  /// thread.
  loop_driver driver() const noexcept;
  /// Why `automatic` became readiness, in a sentence for a user; empty otherwise. Good as long as the loop. Any thread.
  std::string_view driver_reason() const noexcept;

  /// The pools of receive buffers that the loop's conns share. The first has short buffers, for conns that gave the
  /// length of their longest datagram; the second has buffers for any datagram and for trains.
  std::array<pool_stats, 2> pools() const noexcept;

  /// How long the turns took and how late timers fired, since the loop was made. All 0 without
  /// `loop_options::measure_turns`. Threads: as `stats`.
  turn_times measured_turns() const noexcept;
  /// Whether the loop was made with `loop_options::measure_turns`. A moved-from loop: false. Any thread.
  bool measures_turns() const noexcept;

  // --- looking in ---

  /// The live tasks of the loop, each behind its parent: where each was spawned, and what it waits for. `to_string`
  /// makes a tree of them, `to_json` JSON (uring6/tasks.hpp, where `dump_on` writes the tree at a signal).
  ///
  /// On the loop's thread, also inside of a task, a posted function, or `poll`'s host. On another thread it is empty
  /// while the loop's thread lives, as `stats` is 0. Of a loop that hangs in the program's own code the gdb script of
  /// the library shows the same (docs/guide/debugging.md).
  ///
  /// There is nothing to switch on: a coroutine that is suspended stores two pointers, a read that finds its datagram
  /// at hand none. The list allocates (std::bad_alloc), and asks the kernel for the two addresses of each socket that a
  /// task waits for.
  std::vector<task_info> tasks() const;

  /// The implementation, for the library's own code.
  const std::shared_ptr<detail::loop_core>& core() const noexcept { return core_; }

 private:
  URING6_HIDDEN explicit event_loop(std::shared_ptr<detail::loop_core> core);
  void drive(std::coroutine_handle<> handle, const detail::promise_base& promise, const bool& done,
             const std::source_location& where);
  stop_token token() const noexcept;
  void post_call(void (*call)(void*), void (*drop)(void*), void* state);
  result<void> set_forward(std::chrono::steady_clock::duration by) noexcept;

  std::shared_ptr<detail::loop_core> core_;
};

template <std::invocable F>
void event_loop::post(F f) {
  auto state = std::make_unique<F>(std::move(f));
  post_call([](void* raw) { (*static_cast<F*>(raw))(); }, [](void* raw) { delete static_cast<F*>(raw); }, state.get());
  state.release();
}

}  // namespace uring6::inline v0
