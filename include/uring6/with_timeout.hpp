// with_timeout, with_deadline: await anything, but no longer than a given time.
#pragma once

#include "uring6/version.hpp"

#include <chrono>
#include <coroutine>
#include <exception>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include "uring6/detail/siblings.hpp"
#include "uring6/export.hpp"
#include "uring6/result.hpp"
#include "uring6/timer.hpp"

namespace uring6::inline v0 {

namespace detail {

/// One child, and the timer that stops it.
class URING6_EXPORT timed_siblings : public siblings, timer_node {
 protected:
  explicit timed_siblings(clock::time_point deadline) noexcept : deadline_(deadline) {}
  timed_siblings(timed_siblings&&) = default;
  ~timed_siblings() = default;

  /// Call before the start. Throws std::bad_alloc.
  void arm_deadline() { arm(loop(), deadline_); }

  /// Call first in await_resume.
  void rethrow() {
    close();
    if (failure_) std::rethrow_exception(std::move(failure_));
  }
  bool timed_out() const noexcept { return timed_out_; }

 private:
  void one_ended(child_promise& which) noexcept final;
  void expired() noexcept final;

  clock::time_point deadline_;
  bool timed_out_ = false;
  std::exception_ptr failure_;
};

template <awaitable A>
class with_deadline_operation final : timed_siblings {
 public:
  static constexpr std::string_view wait_name = "with_timeout";
  using timed_siblings::suspended;
  using timed_siblings::tell_wait;

  static constexpr bool drops_when_it_loses = !keeps_when_it_loses<A>;

  with_deadline_operation(clock::time_point deadline,
                          A&& awaited) noexcept(std::is_nothrow_constructible_v<sibling<A>, A>)
      : timed_siblings(deadline), part_(static_cast<A&&>(awaited)) {}

  reference_awaiter<with_deadline_operation> operator co_await() && noexcept { return {this}; }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiting, const environment& in) {
    open(stop_of(in));
    part_.prepare();
    arm_deadline();
    start(part_.child(), 0);
    return wait(waiting);
  }
  std::conditional_t<std::is_void_v<await_result<A>>, void, await_value<A>> await_resume() {
    rethrow();
    if constexpr (is_result<await_value<A>>) {
      if (timed_out() && !part_.value() && part_.value().error() == std::errc::operation_canceled) {
        return fail(errc::deadline_exceeded);
      }
    }
    if constexpr (!std::is_void_v<await_result<A>>) return part_.value();
  }

 private:
  sibling<A> part_;
};

}  // namespace detail

/// Awaits a task, or an operation such as `pc.read_from(buffer)`, and requests its stop when the deadline passes.
/// Waits for its end in any case, and returns what it returns. Owns what it awaits: it can be returned and awaited
/// later. Go: context.WithDeadline.
///
/// If the deadline's stop ends a result<T> as canceled, the result is `errc::deadline_exceeded`. A value that came in
/// time wins, also one that is ready although the deadline has passed already. A task that returns no result<T> must
/// tell by its value that it was stopped. Exceptions come through. A stop request to the caller reaches the
/// operation, too. Allocates as `when_any`.
template <detail::operand A>
[[nodiscard("co_await it")]] detail::with_deadline_operation<A> with_deadline(
    std::chrono::steady_clock::time_point deadline,
    A&& awaited) noexcept(std::is_nothrow_constructible_v<detail::sibling<A>, A>) {
  return {deadline, static_cast<A&&>(awaited)};
}

/// The same with the deadline `timeout` from now, that is from this call. Go: context.WithTimeout.
template <class Rep, class Period, detail::operand A>
[[nodiscard("co_await it")]] detail::with_deadline_operation<A> with_timeout(
    std::chrono::duration<Rep, Period> timeout,
    A&& awaited) noexcept(std::is_nothrow_constructible_v<detail::sibling<A>, A>) {
  return {detail::deadline_after(timeout), static_cast<A&&>(awaited)};
}

}  // namespace uring6::inline v0
