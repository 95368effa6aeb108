// loop_group: one event_loop on each of several threads, pinned to their CPUs.
#pragma once

#include "uring6/version.hpp"

#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <utility>
#include <vector>

#include "uring6/event_loop.hpp"
#include "uring6/export.hpp"
#include "uring6/task.hpp"

namespace uring6 {

/// What a group is made of.
struct loop_group_options {
  /// How many loops; 0: one for each set of `cpus`, or for each CPU that the calling thread may run on.
  std::size_t loops = 0;
  /// The CPUs of each loop, in turn if there are fewer sets than loops. Empty: one CPU each, of those that
  /// the calling thread may run on.
  std::vector<std::vector<int>> cpus{};
  /// Whether the threads are held to their CPUs. sched_setaffinity(2)
  bool pin = true;
  /// Of each loop.
  loop_options loop{};
};

/// Runs loops on threads of its own. A program shares nothing between them but what it posts: a listener for
/// each
/// (`listen_group`), or work that is handed over (`spawn_on`, `post`, `channel`).
///
///     loop_group group;
///     or_throw(listen_group(group, "udp6", "[::]:7", serve));
///     ... wait for SIGTERM ...
///     group.drain(5s);
///
/// Each loop is its thread's from the start: conns are opened there, by the tasks that use them.
///
/// An exception out of a task stops the whole group, and comes out of `drain`. The threads block all signals.
/// All of it may be called by any thread, but by one at a time where it says so.
class URING6_EXPORT loop_group {
 public:
  /// Starts the threads. Throws std::system_error: as event_loop's; EINVAL for a CPU that is not there or not
  /// allowed, be it one of several in its set, with the number of the CPU in the text; `errc::out_of_range` for an
  /// empty set and for a number that no CPU can have.
  explicit loop_group(const loop_group_options& options = {});
  loop_group(const loop_group&) = delete;
  loop_group& operator=(const loop_group&) = delete;

  /// Stops all tasks and waits for their end. An exception that `drain` has not rethrown is lost.
  ~loop_group();

  std::size_t size() const noexcept;
  event_loop& operator[](std::size_t index) const noexcept;
  /// The CPUs of a loop.
  std::span<const int> cpus(std::size_t index) const noexcept;
  /// Whether a loop has come to its end: it runs nothing any more.
  bool ended(std::size_t index) const;

  /// Runs `f()` on a loop's thread. As `event_loop::post`.
  template <std::invocable F>
  void post(std::size_t index, F f) const {
    (*this)[index].post(std::move(f));
  }

  /// Calls `make()` on a loop's thread and runs the task that it gives until it ends or the group is stopped.
  /// `make` (a lambda with its captures) is kept as long as the task.
  ///
  /// True: `make` will be called, also if the group drains or is stopped meanwhile (then the task begins with its stop
  /// requested). False: `make` is dropped, on the loop's thread while that lives, because the group was stopped, or
  /// drains and that loop has come to its end: its last task had ended, and none was given to it. A task of a draining
  /// loop can always give work to that loop. Throws std::bad_alloc, and gives nothing then.
  template <std::invocable F>
  bool spawn_on(std::size_t index, F make) {
    return start(index, kind::work, std::move(make));
  }

  /// The same for a task that takes new work in: it is stopped as soon as the group drains. False from then on.
  template <std::invocable F>
  bool listen_on(std::size_t index, F make) {
    return start(index, kind::listener, std::move(make));
  }

  /// Asks all tasks to stop.
  void request_stop() noexcept;

  /// The orderly end: stops the listeners, gives all other tasks until `limit` has passed, then stops them,
  /// and waits for the end of all in any case. True if no task had to be stopped. Rethrows the first
  /// exception of a task. One thread, which waits: in a coroutine `co_await run_blocking(...)`. Throws
  /// resource_deadlock_would_occur on a thread of the group. The group takes no more work afterwards.
  bool drain(std::chrono::nanoseconds limit);

 private:
  enum class kind : bool { work, listener };
  struct member;

  template <class F>
  bool start(std::size_t index, kind of, F make) {
    // One task owns the callable, another is made by it: the captures live as long as both.
    struct holder {
      static task<> run(F callable) { co_await callable(); }
    };
    auto shared = std::make_shared<F>(std::move(make));
    return start_task(index, of, [shared] { return holder::run(std::move(*shared)); });
  }
  bool close_listeners(member& self) noexcept;
  bool close_work(member& self) noexcept;
  void close(member& self) noexcept;
  bool start_task(std::size_t index, kind of, std::function<task<>()> make);
  task<> run_member(member& self);
  task<> guard(task<> one);
  void fail(std::exception_ptr what) noexcept;
  void join() noexcept;

  struct shared_state;
  std::unique_ptr<shared_state> shared_;
  std::vector<std::unique_ptr<member>> members_;
};

}  // namespace uring6
