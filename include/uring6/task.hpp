// task<T>: a coroutine that starts when it is awaited.
#pragma once

#include "uring6/version.hpp"

#include <coroutine>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <type_traits>
#include <utility>

#include "uring6/detail/exceptions.hpp"
#include "uring6/detail/promise.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

template <class T = void>
class task;

namespace detail {

template <class T>
class task_promise final : public promise_base {
 public:
  task<T> get_return_object() noexcept;
  final_awaiter final_suspend() const noexcept { return {}; }

  template <class U>
  requires std::is_constructible_v<T, U&&>
  void return_value(U&& value) noexcept(std::is_nothrow_constructible_v<T, U&&>) {
    value_.emplace(std::forward<U>(value));
  }
  void unhandled_exception() noexcept { exception_ = std::current_exception(); }

  T take() {
    if (exception_) std::rethrow_exception(std::move(exception_));
    return std::move(*value_);
  }
  const std::exception_ptr& exception() const noexcept { return exception_; }

 private:
  std::optional<T> value_;
  std::exception_ptr exception_;
};

template <>
class task_promise<void> final : public promise_base {
 public:
  task<void> get_return_object() noexcept;
  final_awaiter final_suspend() const noexcept { return {}; }
  void return_void() const noexcept {}
  void unhandled_exception() noexcept { exception_ = std::current_exception(); }

  void take() {
    if (exception_) std::rethrow_exception(std::move(exception_));
  }
  const std::exception_ptr& exception() const noexcept { return exception_; }

 private:
  std::exception_ptr exception_;
};

}  // namespace detail

/// A lazy coroutine: it starts when another coroutine awaits it, runs on that coroutine's loop, and returns its value
/// or rethrows its exception there. It inherits the stop token of the coroutine that awaits or spawns it.
///
/// A task that is destroyed before its end destroys everything it owns; its operations in flight are canceled and
/// waited for. There is no detach: start children with `scope::spawn`, `when_all`, `when_any` or `event_loop::run`.
/// Use a task only on the thread that runs the loop.
template <class T>
class [[nodiscard("a task does nothing until it is awaited or spawned")]] task {
 public:
  using promise_type = detail::task_promise<T>;
  using value_type = T;

  task(task && other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  task& operator=(task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~task() {
    if (handle_) handle_.destroy();
  }

  /// The coroutine, for scope, when_all and event_loop, which resume it.
  std::coroutine_handle<promise_type> handle() const noexcept {
    return handle_;
  }
  bool done() const noexcept {
    return !handle_ || handle_.done();
  }

  /// Throws std::logic_error for a task that was moved from, has already run, or is already awaited.
  auto operator co_await()&& {
    if (done()) {
      detail::throw_or_terminate(std::logic_error("uring6: awaited a task that was moved from or has already run"));
    }
    if (handle_.promise().continuation()) {
      detail::throw_or_terminate(std::logic_error("uring6: awaited a task that somebody awaits already"));
    }
    return awaiter(handle_);
  }

 private:
  friend promise_type;
  explicit task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}

  struct awaiter : private detail::task_wait {
    static constexpr std::string_view wait_name = "task";

    explicit awaiter(std::coroutine_handle<promise_type> of) noexcept : child(of) {}

    std::coroutine_handle<promise_type> child;

    bool await_ready() const noexcept { return false; }

    // A plain call starts the task, not a symmetric transfer. A child that ends without suspension then gives the
    // stack back, also where the compiler makes no tail calls (GCC at -O0, with sanitizers).
    bool await_suspend(std::coroutine_handle<> parent, const environment& in) const {
      child.promise().inherit_stop(detail::stop_of(in));
      child.resume();
      if (child.done()) return false;
      child.promise().set_continuation(parent);
      return true;
    }
    T await_resume() const {
      if (waiting) waiting->runs();
      return child.promise().take();
    }
    [[nodiscard]] T await_resume() const requires detail::is_result<T> {
      if (waiting) waiting->runs();
      return child.promise().take();
    }

    void suspended(detail::promise_base& parent) noexcept {
      awaited = &child.promise();
      waiting = &parent;
    }
    void tell_wait(detail::wait_listing& to) const { to.awaits(child.promise()); }
  };

  std::coroutine_handle<promise_type> handle_;
};

namespace detail {

template <class T>
task<T> task_promise<T>::get_return_object() noexcept {
  const auto own = std::coroutine_handle<task_promise>::from_promise(*this);
  set_frame(own);
  return task<T>(own);
}
inline task<void> task_promise<void>::get_return_object() noexcept {
  const auto own = std::coroutine_handle<task_promise>::from_promise(*this);
  set_frame(own);
  return task<void>(own);
}

}  // namespace detail
}  // namespace uring6::inline v0
