// How long a loop's turns take, and how late its timers fire: histograms, off by default.
#pragma once

#include "uring6/version.hpp"

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "uring6/export.hpp"

namespace uring6::inline v0 {

/// Durations, counted by powers of two of a microsecond.
struct time_histogram {
  /// 1 µs, 2 µs, 4 µs, ... 2^22 µs, which is 4.2 s: a turn that takes longer is beyond any service's limit.
  static constexpr std::size_t bounds = 23;

  /// counts[i]: durations of at most `bound(i)`, and longer than `bound(i - 1)`. The last one: longer ones.
  std::array<std::uint64_t, bounds + 1> counts{};
  std::uint64_t total_ns = 0;  ///< The sum of all durations, in nanoseconds.

  /// Precondition: `index` < `bounds`.
  static constexpr std::chrono::nanoseconds bound(std::size_t index) noexcept {
    return std::chrono::nanoseconds(std::int64_t{1000} << index);
  }

  /// Counts a duration. A negative one counts as 0.
  constexpr void record(std::chrono::nanoseconds duration) noexcept {
    const auto ns = duration.count() > 0 ? static_cast<std::uint64_t>(duration.count()) : 0;
    const auto index = ns <= 1000 ? 0U : static_cast<unsigned>(std::bit_width((ns - 1) / 1000));
    ++counts[index < bounds ? index : bounds];
    total_ns += ns;
  }

  /// How many durations were counted.
  constexpr std::uint64_t count() const noexcept {
    std::uint64_t sum = 0;
    for (const std::uint64_t each : counts) sum += each;
    return sum;
  }

  friend bool operator==(const time_histogram&, const time_histogram&) noexcept = default;
};

/// Of a loop with `loop_options::measure_turns`.
struct turn_times {
  /// From the return of one wait, or of the look at the kernel in the place of one, to the next: the tasks, the posted
  /// calls, the timers, the sends, and the spins of `loop_options::spin`. What is longer than your service may be
  /// silent is a task that computes or blocks: `this_task::yield`, `run_blocking`. By CLOCK_MONOTONIC.
  ///
  /// Mostly one turn. Turns between which the loop has nothing to ask the kernel count as one, and what comes behind a
  /// run's last look is not counted.
  time_histogram took{};
  /// From a timer's deadline to the time at which the loop took it: sleeps, intervals, deadlines of conns and of
  /// `with_timeout`. By the loop's clock.
  time_histogram late{};

  friend bool operator==(const turn_times&, const turn_times&) noexcept = default;
};

/// "count=5 mean_us=3.2 longest_us<=4", of which the last number is the bound of the longest duration's bucket ("inf"
/// beyond all of them); "none" if nothing was counted.
URING6_EXPORT std::string to_string(const time_histogram& times);
/// "took: count=5 mean_us=3.2 longest_us<=4; late: none".
URING6_EXPORT std::string to_string(const turn_times& times);

}  // namespace uring6::inline v0
