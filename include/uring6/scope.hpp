// scope: tasks that run beside the coroutine that started them, and end before it does.
#pragma once

#include "uring6/version.hpp"

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <string_view>
#include <type_traits>
#include <utility>

#include "uring6/detail/child.hpp"
#include "uring6/detail/waiting.hpp"
#include "uring6/export.hpp"
#include "uring6/stop_token.hpp"
#include "uring6/task.hpp"

namespace uring6::inline v0 {

class event_loop;
class scope;

namespace detail {

class URING6_EXPORT join_operation final : ready_node {
 public:
  static constexpr std::string_view wait_name = "scope::join";

  explicit join_operation(scope& of) noexcept : scope_(&of) {}
  join_operation(join_operation&&) = default;
  ~join_operation();

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> joining, const environment& in) {
    return suspend(joining, stop_of(in));
  }
  void await_resume();
  void tell_wait(wait_listing& to) const;

 private:
  friend class uring6::scope;

  bool suspend(std::coroutine_handle<> joining, stop_root& stop);

  scope* scope_;
  bool joins_ = false;  // it is the scope's joiner: otherwise the scope may be gone when the operation is destroyed
};

}  // namespace detail

/// Owns tasks that run beside the coroutine that holds the scope. That coroutine must `co_await join()` before it
/// leaves the scope, so that no task outlives what it refers to. The first exception of a task stops the others;
/// `join` rethrows it. There is no detach.
///
/// Declare what a task refers to before the scope, so that it lives longer. The captures of a lambda live in the
/// lambda, not in the task: pass them as parameters. A scope belongs to the loop's thread; only `request_stop` may be
/// called on any.
///
///     scope clients;
///     clients.spawn(serve(pc));
///     clients.spawn(report(pc));
///     co_await clients.join();
class URING6_EXPORT scope final : detail::child_owner, detail::task_root {
 public:
  /// A scope of the running loop. A stop request to the coroutine that joins reaches the tasks from the join on.
  scope() = default;
  /// The same, but a stop request to `parent` (`co_await this_task::stop_token()`) reaches the tasks at once. The
  /// source of that token outlives the scope: with a task's own token the scope ends before the task.
  explicit scope(const stop_token& parent);
  /// A scope outside of a coroutine: its tasks run whenever `loop` runs, and are dropped with the scope.
  explicit scope(event_loop& loop);
  scope(const scope&) = delete;
  scope& operator=(const scope&) = delete;

  /// If running code leaves the scope without a join although tasks were spawned, the destructor ends the program.
  /// The message names the place where a task that still runs was spawned. No test should miss this mistake.
  ///
  /// In four cases the destructor drops the tasks where they wait: while an exception unwinds, together with the
  /// coroutine's own frame, outside of the loop, and at the loop's end. It cancels their operations, waits for them,
  /// and destroys all that the tasks own.
  ///
  /// A task that calls `exit` destroys the scopes of static storage duration inside of the running loop, which counts
  /// as leaving without a join: it ends the program with that message (SIGABRT). The task that calls `exit` may be in
  /// one of these scopes, and cannot be destroyed while it runs. Return from `main` instead, or call `exit` after
  /// `event_loop::run` has returned.
  ~scope();

  /// Starts `child` in the loop's next turn. A child may call it, also while `join` waits. In a stopped scope the
  /// child runs and finds the stop requested. Throws std::logic_error outside of a loop, on another thread than the
  /// loop's, inside of another loop, and for a moved-from task.
  void spawn(task<void> child, std::source_location where = std::source_location::current()) {
    adopt(child.done() ? detail::child() : run(std::move(child)), where);
  }

  /// The same for a task that returns a value: when it ends, `sink(value)` is called on the loop's thread. An exception
  /// of `sink` counts as the task's.
  ///
  ///     clients.spawn(serve(pc), [](result<void> end) { if (!end) log(end.error()); });
  template <class T, class Sink>
  requires(!std::is_void_v<T> && std::is_void_v<std::invoke_result_t<Sink&, T>>)  //
      void spawn(task<T> child, Sink sink, std::source_location where = std::source_location::current()) {
    adopt(child.done() ? detail::child() : run(std::move(child), std::move(sink)), where);
  }

  // The compiler's message shows the line of the declaration, so the advice stands there. clang-format off
  template <class T>
  requires(!std::is_void_v<T>) void spawn(task<T>, std::source_location = {}) =
      delete;  // the task's value, an error perhaps, would be lost: spawn(task, [](T value) { ... })
  // clang-format on

  /// Waits until all tasks have ended; rethrows the first exception. The scope can be used again afterwards; a
  /// requested stop stays. Throws std::logic_error if another coroutine is joining.
  [[nodiscard("co_await it")]] detail::join_operation join() noexcept { return detail::join_operation(*this); }

  /// Asks all tasks to stop, and all tasks that are spawned later. Any thread.
  void request_stop() noexcept { stop_.request_stop(); }
  bool stop_requested() const noexcept { return stop_.stop_requested(); }

  /// The number of tasks that have not ended.
  std::size_t running() const noexcept { return running_; }

 private:
  friend detail::join_operation;
  struct relay {
    scope* to;
    void operator()() const noexcept { to->request_stop(); }
  };

  // The task is destroyed when the coroutine ends, not with the frame, which may live longer.
  static detail::child run(task<void> given) {
    task<void> mine(std::move(given));
    co_await std::move(mine);
  }
  template <class T, class Sink>
  static detail::child run(task<T> given, Sink sink) {
    task<T> mine(std::move(given));
    T value = co_await std::move(mine);
    std::invoke(sink, std::move(value));
  }

  void adopt(detail::child child, const std::source_location& where);
  std::coroutine_handle<> ended(detail::child_promise& which) noexcept override;
  void list_tasks(detail::wait_listing& to) const override;
  void destroy_ended() noexcept;
  void check_joined() noexcept;

  std::shared_ptr<detail::loop_core> loop_;
  stop_source stop_;
  detail::stop_root root_{stop_.get_token()};
  std::optional<stop_callback<relay>> from_parent_;
  std::optional<stop_callback<relay>> from_joiner_;
  detail::intrusive_list<detail::child_promise, detail::sibling_hook> children_;
  detail::intrusive_list<detail::child_promise, detail::sibling_hook> ended_;
  detail::join_operation* joiner_ = nullptr;
  std::exception_ptr failure_;
  std::source_location where_;
  std::size_t running_ = 0;
  bool unjoined_ = false;
};

}  // namespace uring6::inline v0
