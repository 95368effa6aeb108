// loop_clock: the clock of a loop's timers.
#pragma once

#include "uring6/version.hpp"

#include <cstdint>

namespace uring6::inline v0 {

/// The clock of a loop: its sleeps, timeouts, intervals and deadlines go by it.
///
/// `simulated` is for tests. The time stands still while the loop runs something. When the loop would sleep, it goes to
/// the time of its next timer instead. So a test of a day of retries takes milliseconds, and each run gives the same
/// times. A simulated time begins at CLOCK_MONOTONIC's when the loop is made, and each loop has its own.
/// `event_loop::now` and `this_task::now` tell it; std::chrono::steady_clock::now() does not.
///
/// What the kernel and other threads do takes no simulated time:
/// - Before the time goes on, the loop asks the kernel. It goes on only if the kernel has no completion, and no other
///   thread has posted anything. Data that is ready comes before every timer.
/// - What is under way then (a datagram in the network, a connect, a read of a disk, a post of another thread) may
///   come after a timer that is due hours later. Where a test needs an order, it uses `memory_link`.
/// - While a task waits for `run_blocking` or `resolve`, the time stands still.
/// - Without a timer the loop sleeps until the kernel or another thread has something. So it does with timers at
///   std::chrono::steady_clock::time_point::max() only: the time never goes there.
enum class loop_clock : std::uint8_t {
  steady,     ///< CLOCK_MONOTONIC.
  simulated,  ///< A time of the loop's own, which passes only when the loop would sleep.
};

}  // namespace uring6::inline v0
