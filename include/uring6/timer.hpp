// Sleeping, and points in time.
#pragma once

#include "uring6/version.hpp"

#include <chrono>
#include <coroutine>
#include <string_view>

#include "uring6/detail/promise.hpp"
#include "uring6/detail/waiting.hpp"
#include "uring6/export.hpp"
#include "uring6/result.hpp"

// The destructors of the bases are protected, so no object is deleted through a base; GCC warns nevertheless, because
// the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6::inline v0 {

namespace detail {

/// A coroutine that waits for a point in time.
class URING6_EXPORT sleep_wait : timer_node, stop_listener, ready_node {
 public:
  void tell_wait(wait_listing& to) const;

 protected:
  sleep_wait() = default;
  sleep_wait(sleep_wait&&) = default;
  ~sleep_wait() = default;

  bool suspend(std::coroutine_handle<> sleeper, stop_root& stop, clock::time_point until);
  /// Call first in await_resume.
  droppable_result<void> outcome() noexcept;

 private:
  void expired() noexcept override;
  void stop_requested() noexcept override;

  std::error_code error_;
  loop_core* loop_ = nullptr;
};

class URING6_EXPORT sleep_operation final : public sleep_wait {
 public:
  static constexpr std::string_view wait_name = "sleep";

  explicit sleep_operation(clock::time_point until) noexcept : until_(until) {}

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> sleeper, const environment& in) {
    return suspend(sleeper, stop_of(in), until_);
  }
  droppable_result<void> await_resume() noexcept { return outcome(); }

 private:
  clock::time_point until_;
};

/// Converts a caller's duration to the clock's unit, rounded up. A duration beyond the clock's range becomes its
/// longest (or shortest) one; NaN becomes 0.
template <class Rep, class Period>
clock::duration saturated(std::chrono::duration<Rep, Period> duration) noexcept {
  using seconds = std::chrono::duration<double>;  // as double, no duration overflows
  const seconds given(duration);
  if (given >= seconds(clock::duration::max())) return clock::duration::max();
  if (given <= seconds(clock::duration::min())) return clock::duration::min();
  return given == given ? std::chrono::ceil<clock::duration>(duration) : clock::duration::zero();
}

/// The point in time a caller's duration from now. All sums of a duration and the clock are made here. A sum beyond
/// the clock's range is the end of time, not a point in the past; a negative duration is now.
template <class Rep, class Period>
clock::time_point deadline_after(std::chrono::duration<Rep, Period> duration) noexcept {
  const clock::time_point now = clock::now();
  const clock::duration left = saturated(duration);
  if (left <= left.zero()) return now;
  return left < clock::time_point::max() - now ? now + left : clock::time_point::max();
}

}  // namespace detail

/// Suspends the coroutine until `until`, by the loop's clock (CLOCK_MONOTONIC unless `loop_options::clock` says
/// otherwise). If that has passed, the other coroutines run first.
///
/// Returns nothing, or `errc::canceled` if a stop was requested before, `errc::wrong_thread` outside of a running
/// loop. Go: time.Sleep.
[[nodiscard("co_await it")]] inline detail::sleep_operation sleep_until(std::chrono::steady_clock::time_point until) {
  return detail::sleep_operation(until);
}

/// Suspends the coroutine for at least `duration`. As `sleep_until`.
template <class Rep, class Period>
[[nodiscard("co_await it")]] detail::sleep_operation sleep_for(std::chrono::duration<Rep, Period> duration) {
  return detail::sleep_operation(detail::deadline_after(duration));
}

}  // namespace uring6::inline v0

#pragma GCC diagnostic pop
