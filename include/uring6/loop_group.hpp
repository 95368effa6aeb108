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
#include <type_traits>
#include <utility>
#include <vector>

#include "uring6/event_loop.hpp"
#include "uring6/export.hpp"
#include "uring6/task.hpp"
#include "uring6/timer.hpp"

namespace uring6::inline v0 {

namespace detail {

/// A function that makes a task without a value: an error that the task returned would be lost.
template <class F>
concept makes_task = std::invocable<F&> && std::same_as<std::invoke_result_t<F&>, task<void>>;

}  // namespace detail

/// Options of a group.
struct loop_group_options {
  /// The number of loops; 0: one for each set of `cpus`, or for each CPU that the calling thread may run on.
  std::size_t loops = 0;
  /// The sets of CPUs. Each loop gets one; with fewer sets than loops the sets repeat. Empty: each loop gets one CPU
  /// of those that the calling thread may run on.
  std::vector<std::vector<int>> cpus{};
  /// Whether each thread runs only on its loop's CPUs. sched_setaffinity(2)
  bool pin = true;
  /// Options of each loop.
  loop_options loop{};
};

/// Where in a group a task runs: on `group[index]`, which is `loop`.
struct loop_place {
  event_loop& loop;
  std::size_t index;
};

namespace detail {

template <class Serve, class Conn>
concept serves_at_place = std::invocable<Serve&, Conn, loop_place> &&
    std::same_as<std::invoke_result_t<Serve&, Conn, loop_place>, task<void>>;

/// A function that makes a task of a conn of a group, and may ask where that task will run.
template <class Serve, class Conn>
concept serves = serves_at_place<Serve, Conn> ||
    (std::invocable<Serve&, Conn>&& std::same_as<std::invoke_result_t<Serve&, Conn>, task<void>>);

template <class Conn, serves<Conn> Serve>
task<void> serve_at(Serve& serve, Conn&& given, loop_place where) {
  if constexpr (serves_at_place<Serve, Conn>) {
    return serve(std::move(given), where);
  } else {
    return serve(std::move(given));
  }
}

}  // namespace detail

/// Runs loops on threads of its own. The loops share nothing but what the program posts: a listener for each loop
/// (`listen_group`), or work that it hands over (`spawn_on`, `post`, `channel`).
///
///     loop_group group;
///     or_throw(listen_group(group, "udp6", "[::]:7", serve));
///     ... wait for SIGTERM ...
///     group.drain(5s);
///
/// Each loop belongs to its thread from the start: the tasks that use a conn open it there.
///
/// An exception out of a task stops the whole group; `drain` rethrows it. The group's threads block all signals. Any
/// thread may call the members, except where a member says that one thread at a time may.
class URING6_EXPORT loop_group {
 public:
  /// Starts the threads. Throws std::system_error: the codes of event_loop; EINVAL for a CPU that does not exist or
  /// is not allowed, also for one of several in its set (the text has its number); `errc::out_of_range` for an empty
  /// set and for a number that no CPU can have.
  explicit loop_group(const loop_group_options& options = {});
  loop_group(const loop_group&) = delete;
  loop_group& operator=(const loop_group&) = delete;

  /// Stops all tasks and waits for their end. An exception that `drain` has not rethrown is lost.
  ~loop_group();

  std::size_t size() const noexcept;
  event_loop& operator[](std::size_t index) const noexcept;
  /// The CPUs of a loop.
  std::span<const int> cpus(std::size_t index) const noexcept;
  /// Whether a loop has ended. An ended loop runs nothing any more.
  bool ended(std::size_t index) const;

  /// Runs `f()` on a loop's thread. As `event_loop::post`.
  template <std::invocable F>
  void post(std::size_t index, F f) const {
    (*this)[index].post(std::move(f));
  }

  /// Calls `make()` on a loop's thread, and runs the task that it returns until the task ends or the group is
  /// stopped. The group keeps `make` (a lambda with its captures) as long as the task.
  ///
  /// Returns true if `make` will be called. That holds also if the group drains or is stopped meanwhile; the task
  /// then begins with its stop requested. Returns false if the group was stopped, or drains and that loop has ended,
  /// which happens when its last task ends without new work for it. `make` is then destroyed, on the loop's thread
  /// while that lives. A task of a draining loop can always give work to that loop. Throws std::bad_alloc; then
  /// nothing is given.
  template <detail::makes_task F>
  bool spawn_on(std::size_t index, F make) {
    return start(index, kind::work, std::move(make));
  }

  /// The same for a task that takes in new work: `drain` stops it at once. Returns false from then on.
  template <detail::makes_task F>
  bool spawn_listener(std::size_t index, F make) {
    return start(index, kind::listener, std::move(make));
  }
  template <detail::makes_task F>
  [[deprecated("the name is spawn_listener")]] bool listen_on(std::size_t index, F make) {
    return spawn_listener(index, std::move(make));
  }

  /// Asks all tasks to stop.
  void request_stop() noexcept;

  /// Ends the group in order: stops the listeners, lets all other tasks run for at most `limit`, stops those that are
  /// left, and waits for the end of all. A `shield` keeps either stop from what runs in it, so `drain` may last longer
  /// than `limit`, by up to the limit of the shield. Returns true if no task had to be stopped at the limit. Rethrows
  /// the first exception of a task. The group takes no more work afterwards.
  ///
  /// One thread at a time, which blocks: in a coroutine use `co_await run_blocking(...)`. Throws
  /// resource_deadlock_would_occur on a thread of the group.
  template <class Rep, class Period>
  bool drain(std::chrono::duration<Rep, Period> limit) {
    return drain_until(detail::deadline_after(limit));
  }

 private:
  enum class kind : bool { work, listener };
  bool drain_until(std::chrono::steady_clock::time_point deadline);
  struct member;
  struct URING6_HIDDEN given_task;

  template <class F>
  bool start(std::size_t index, kind of, F make) {
    // One task owns the callable, and a second one is made by it: the captures live as long as both.
    struct holder {
      static task<> run(F callable) { co_await callable(); }
    };
    // No reference stays here: the loop's thread destroys the last one.
    return start_task(index, of,
                      [shared = std::make_shared<F>(std::move(make))] { return holder::run(std::move(*shared)); });
  }
  URING6_HIDDEN bool close_listeners(member& self) noexcept;
  URING6_HIDDEN bool close_work(member& self) noexcept;
  URING6_HIDDEN void close(member& self) noexcept;
  bool start_task(std::size_t index, kind of, std::function<task<>()> make);
  URING6_HIDDEN task<> run_member(member& self);
  URING6_HIDDEN task<> guard(task<> one);
  URING6_HIDDEN void fail(std::exception_ptr what) noexcept;
  URING6_HIDDEN void join() noexcept;

  struct shared_state;
  std::unique_ptr<shared_state> shared_;
  std::vector<std::unique_ptr<member>> members_;
};

}  // namespace uring6::inline v0
