// with_timeout, with_deadline: await anything, but no longer than a given time.
#pragma once

#include "uring6/version.hpp"

#include <chrono>
#include <string_view>
#include <type_traits>

#include "uring6/detail/sole_child.hpp"
#include "uring6/export.hpp"
#include "uring6/timer.hpp"

namespace uring6::inline v0 {

namespace detail {

/// One child, and the timer that stops it.
class URING6_EXPORT timed_child : public sole_child, timer_node {
 protected:
  static constexpr std::string_view wait_name = "with_timeout";

  explicit timed_child(clock::time_point deadline) noexcept : deadline_(deadline) {}
  timed_child(timed_child&&) = default;
  ~timed_child() = default;

  /// Throws std::bad_alloc.
  void watch(stop_root&) { arm(loop(), deadline_); }
  bool timed_out() const noexcept { return timed_out_; }

 private:
  void one_ended(child_promise& which) noexcept final;
  void expired() noexcept final;

  clock::time_point deadline_;
  bool timed_out_ = false;
};

template <awaitable A>
using with_deadline_operation = sole_child_operation<timed_child, A>;

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
  return detail::with_deadline_operation<A>(static_cast<A&&>(awaited), deadline);
}

/// The same with the deadline `timeout` from now, that is from this call. Go: context.WithTimeout.
template <class Rep, class Period, detail::operand A>
[[nodiscard("co_await it")]] detail::with_deadline_operation<A> with_timeout(
    std::chrono::duration<Rep, Period> timeout,
    A&& awaited) noexcept(std::is_nothrow_constructible_v<detail::sibling<A>, A>) {
  return detail::with_deadline_operation<A>(static_cast<A&&>(awaited), detail::deadline_after(timeout));
}

}  // namespace uring6::inline v0
