// scope: tasks that run beside the one that started them, and end before it does.
#pragma once

#include "uring6/version.hpp"

#include <coroutine>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <source_location>
#include <stop_token>
#include <utility>

#include "uring6/detail/child.hpp"
#include "uring6/detail/waiting.hpp"
#include "uring6/export.hpp"
#include "uring6/task.hpp"

namespace uring6 {

class event_loop;
class scope;

namespace detail {

class URING6_EXPORT join_operation final : ready_node {
 public:
  explicit join_operation(scope& of) noexcept : scope_(&of) {}
  ~join_operation();

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> joining) {
    return suspend(joining, stop_of(joining));
  }
  void await_resume();

 private:
  friend class uring6::scope;

  bool suspend(std::coroutine_handle<> joining, stop_root& stop);

  scope* scope_;
};

}  // namespace detail

/// Owns tasks that run beside the coroutine in which it stands. That coroutine must `co_await join()` before
/// it leaves the scope, so that no task outlives what it refers to. The first exception of a task stops the
/// others and comes out of `join`. There is no detach.
///
/// What a task refers to must live longer than the scope: declare it before. A lambda's captures live in the
/// lambda, not in the task: give them as parameters. All of it belongs to the loop's thread; only
/// `request_stop` does not.
///
///     scope clients;
///     clients.spawn(serve(pc));
///     clients.spawn(report(pc));
///     co_await clients.join();
class URING6_EXPORT scope final : detail::child_owner {
 public:
  /// Of the running loop. The stop request of the coroutine that joins reaches the tasks from the moment of
  /// the join.
  scope() = default;
  /// The same; a stop of `parent` (`co_await this_task::stop_token()`) reaches the tasks at once.
  explicit scope(const std::stop_token& parent);
  /// Outside of a coroutine: the tasks run whenever `loop` does, and are dropped with the scope.
  explicit scope(event_loop& loop);
  scope(const scope&) = delete;
  scope& operator=(const scope&) = delete;

  /// A scope that running code leaves without a join, although tasks were spawned, ends the program with a
  /// message that names the place of the spawn of one that still runs: it is a mistake that no test should miss. While
  /// an exception unwinds, with the coroutine's own frame, outside of the loop and at the loop's end, the tasks are
  /// dropped where they wait: their operations are canceled and waited for, and all that they own is destroyed.
  ///
  /// `exit` called by a task destroys the scopes of static storage duration inside of the running loop, which is such
  /// a leave without a join: return from `main` instead, or call `exit` when `event_loop::run` has returned.
  ~scope();

  /// Starts `child` in the loop's next round. Also from a child, also while `join` waits. In a scope that has
  /// been stopped, the child runs and finds the stop requested. Throws std::logic_error outside of a loop, on
  /// another thread than the loop's, inside of another loop, and for a task that has been moved from.
  template <class T>
  void spawn(task<T> child, std::source_location where = std::source_location::current()) {
    adopt(child.done() ? detail::child() : run(std::move(child)), where);
  }

  /// Waits until all tasks have ended; rethrows the first exception. The scope can be used again afterwards;
  /// the stop, if one was requested, stays. Throws std::logic_error if somebody joins already.
  [[nodiscard("co_await it")]] detail::join_operation join() noexcept { return detail::join_operation(*this); }

  /// Asks all tasks to stop, and those that are spawned later. Any thread.
  void request_stop() noexcept { stop_.request_stop(); }
  bool stop_requested() const noexcept { return stop_.stop_requested(); }

  /// How many tasks have not ended.
  std::size_t running() const noexcept { return running_; }

 private:
  friend detail::join_operation;
  struct relay {
    scope* to;
    void operator()() const noexcept { to->request_stop(); }
  };

  // The task ends with the coroutine that runs it, not with the frame, which may stay a while.
  template <class T>
  static detail::child run(task<T> given) {
    task<T> mine(std::move(given));
    static_cast<void>(co_await std::move(mine));
  }

  void adopt(detail::child child, const std::source_location& where);
  std::coroutine_handle<> ended(detail::child_promise& which) noexcept override;
  void destroy_ended() noexcept;
  void check_joined() noexcept;

  std::shared_ptr<detail::loop_core> loop_;
  std::stop_source stop_;
  detail::stop_root root_{stop_.get_token()};
  std::optional<std::stop_callback<relay>> from_parent_;
  std::optional<std::stop_callback<relay>> from_joiner_;
  detail::intrusive_list<detail::child_promise, detail::sibling_hook> children_;
  detail::intrusive_list<detail::child_promise, detail::sibling_hook> ended_;
  detail::join_operation* joiner_ = nullptr;
  std::exception_ptr failure_;
  std::source_location where_;
  std::size_t running_ = 0;
  bool unjoined_ = false;
};

}  // namespace uring6
