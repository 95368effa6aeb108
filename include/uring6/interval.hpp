// interval: ticks at equal distances.
#pragma once

#include "uring6/version.hpp"

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <string_view>

#include "uring6/detail/promise.hpp"
#include "uring6/export.hpp"
#include "uring6/result.hpp"
#include "uring6/timer.hpp"

// The destructors of the bases are protected, so no object is deleted through a base; GCC warns nevertheless, because
// the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6::inline v0 {

class interval;

namespace detail {

class URING6_EXPORT tick_operation final : public sleep_wait {
 public:
  static constexpr std::string_view wait_name = "interval::tick";

  explicit tick_operation(interval& of) noexcept : of_(of) {}

  bool await_ready() const noexcept;
  bool await_suspend(std::coroutine_handle<> waiting, const environment& in) {
    return suspend(waiting, stop_of(in), next());
  }
  droppable_result<std::uint64_t> await_resume() noexcept;

 private:
  clock::time_point next() const noexcept;

  interval& of_;
};

}  // namespace detail

/// Ticks every `period`, counted from the start and not from the last tick, so that delays do not add up. One task
/// waits at a time. By the loop's clock. Go: time.Ticker.
class URING6_EXPORT interval {
 public:
  /// The first tick comes one period from now. With a period of 0 or less `tick` ends with an error.
  template <class Rep, class Period>
  explicit interval(std::chrono::duration<Rep, Period> period)
      : interval(detail::saturated(period), detail::deadline_after(period)) {}

  /// The first tick comes at `first`.
  template <class Rep, class Period>
  interval(std::chrono::duration<Rep, Period> period, std::chrono::steady_clock::time_point first) noexcept
      : period_(detail::saturated(period)), next_(first) {}

  /// Waits for the next tick. Returns how many ticks were missed since the last one, 0 when in time; missed ticks do
  /// not come later. Errors: `errc::out_of_range` for a period of 0 or less, `errc::canceled`, `errc::wrong_thread`.
  [[nodiscard("co_await it")]] detail::tick_operation tick() noexcept { return detail::tick_operation(*this); }

  /// When the next tick is due.
  std::chrono::steady_clock::time_point next() const noexcept { return next_; }

 private:
  friend detail::tick_operation;

  std::chrono::steady_clock::duration period_;
  std::chrono::steady_clock::time_point next_;
};

inline detail::clock::time_point detail::tick_operation::next() const noexcept {
  return of_.next_;
}

}  // namespace uring6::inline v0

#pragma GCC diagnostic pop
