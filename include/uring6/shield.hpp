// shield, shield_until: await anything to its end although a stop is requested, for a limited time.
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

/// One child that does not inherit the stop of its caller, and the timer that passes this stop on.
class URING6_EXPORT shielded_child : public sole_child, timer_node, stop_listener {
 protected:
  static constexpr std::string_view wait_name = "shield";

  shielded_child(clock::duration limit, clock::time_point deadline) noexcept : limit_(limit), deadline_(deadline) {}
  shielded_child(shielded_child&&) = default;
  ~shielded_child() = default;

  /// Throws as `open` of siblings.
  void open(stop_root& inherited);

  /// A stop of `inherited` reaches the child from now on, when it is due.
  void watch(stop_root& inherited) noexcept { listen(inherited); }

 private:
  void one_ended(child_promise& which) noexcept final;
  URING6_HIDDEN void expired() noexcept final { siblings::request_stop(); }
  void stop_requested() noexcept final;

  clock::duration limit_;       // counted from the stop; max: none
  clock::time_point deadline_;  // max: none
};

template <awaitable A>
using shield_operation = sole_child_operation<shielded_child, A>;

}  // namespace detail

/// Awaits a task, or an operation such as `pc.write_to(…)`, and keeps a stop request from it for `limit`: for what a
/// task still has to do when it is stopped (answer what has arrived, say goodbye, commit). Waits for its end in any
/// case, and returns what it returns. Owns what it awaits: it can be returned and awaited later. Trio:
/// CancelScope(shield=True). Go: context.WithoutCancel.
///
///     co_await answer_all(pc);                   // until a stop is requested
///     co_await shield(2s, say_goodbye(pc));
///
/// - `limit` counts from the stop request, or from the await if the stop was requested before. When it has passed, the
///   stop reaches the operation: it ends with `errc::canceled`. Without a stop request nothing ends.
/// - A limit of 0 or less holds nothing back. `std::chrono::steady_clock::duration::max()`, as every limit beyond the
///   clock's range, means no limit: the operation never hears of the stop.
/// - The shield holds for all that runs in it: `this_task::stop_token`, scopes and combinators in it hear of the stop
///   when the operation does. A token that the task took before the shield tells at once that a stop was requested, and
///   `with_stop` of that token ends single operations in it.
/// - It holds back the stop of everything outside: a scope, a lost `when_any`, a passed `with_timeout`,
///   `event_loop::request_stop`, the end of `loop_group::drain`. All of these wait for the end of what they have
///   stopped, so they last longer by up to `limit`. `with_timeout` in the shield stops as ever.
/// - Nested shields add up: the inner one begins to count when the outer one has passed the stop on.
/// - It does not hold back `close`, deadlines of conns, and the end of frames and loops: a frame that is destroyed
///   destroys what it awaits.
///
/// Exceptions come through. By the loop's clock. Allocates as `when_any`.
template <class Rep, class Period, detail::operand A>
[[nodiscard("co_await it")]] detail::shield_operation<A> shield(
    std::chrono::duration<Rep, Period> limit,
    A&& awaited) noexcept(std::is_nothrow_constructible_v<detail::sibling<A>, A>) {
  return detail::shield_operation<A>(static_cast<A&&>(awaited), detail::saturated(limit),
                                     detail::clock::time_point::max());
}

/// The same until a point in time: several shields that a task awaits one after the other then end together. A deadline
/// that has passed holds nothing back; `time_point::max()` means no limit.
template <detail::operand A>
[[nodiscard("co_await it")]] detail::shield_operation<A> shield_until(
    std::chrono::steady_clock::time_point deadline,
    A&& awaited) noexcept(std::is_nothrow_constructible_v<detail::sibling<A>, A>) {
  return detail::shield_operation<A>(static_cast<A&&>(awaited), detail::clock::duration::max(), deadline);
}

}  // namespace uring6::inline v0
