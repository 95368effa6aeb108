// shield, shield_until: await anything to its end although a stop is requested, for a limited time.
#pragma once

#include "uring6/version.hpp"

#include <chrono>
#include <coroutine>
#include <exception>
#include <string_view>
#include <type_traits>
#include <utility>

#include "uring6/detail/siblings.hpp"
#include "uring6/export.hpp"
#include "uring6/timer.hpp"

// The destructors of the bases are protected, so no object is deleted through a base; GCC warns nevertheless, because
// the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6::inline v0 {

namespace detail {

/// One child that does not inherit the stop of its caller, and the timer that passes this stop on.
class URING6_EXPORT shielded_siblings : public siblings, timer_node, stop_listener {
 protected:
  shielded_siblings(clock::duration limit, clock::time_point deadline) noexcept : limit_(limit), deadline_(deadline) {}
  shielded_siblings(shielded_siblings&&) = default;
  ~shielded_siblings() = default;

  /// Call before the start. Throws std::logic_error and std::bad_alloc, as `open` of siblings.
  void open(stop_root& inherited);

  /// Call after `open` and before the start: a stop of `inherited` reaches the child from now on, when it is due.
  void hold_back(stop_root& inherited) noexcept { listen(inherited); }

  /// Call first in await_resume.
  void rethrow() {
    siblings::close();
    if (failure_) std::rethrow_exception(std::move(failure_));
  }

 private:
  void one_ended(child_promise& which) noexcept final;
  URING6_HIDDEN void expired() noexcept final { siblings::request_stop(); }
  void stop_requested() noexcept final;

  clock::duration limit_;       // counted from the stop; max: none
  clock::time_point deadline_;  // max: none
  std::exception_ptr failure_;
};

template <awaitable A>
class shield_operation final : shielded_siblings {
 public:
  static constexpr std::string_view wait_name = "shield";
  using shielded_siblings::suspended;
  using shielded_siblings::tell_wait;

  static constexpr bool drops_when_it_loses = !keeps_when_it_loses<A>;

  shield_operation(clock::duration limit, clock::time_point deadline,
                   A&& awaited) noexcept(std::is_nothrow_constructible_v<sibling<A>, A>)
      : shielded_siblings(limit, deadline), part_(static_cast<A&&>(awaited)) {}

  reference_awaiter<shield_operation> operator co_await() && noexcept { return {this}; }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiting, const environment& in) {
    stop_root& inherited = stop_of(in);
    open(inherited);
    part_.prepare();
    hold_back(inherited);
    start(part_.child(), 0);
    return wait(waiting);
  }
  std::conditional_t<std::is_void_v<await_result<A>>, void, await_value<A>> await_resume() {
    rethrow();
    if constexpr (!std::is_void_v<await_result<A>>) return part_.value();
  }

 private:
  sibling<A> part_;
};

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
  return {detail::saturated(limit), detail::clock::time_point::max(), static_cast<A&&>(awaited)};
}

/// The same until a point in time: several shields that a task awaits one after the other then end together. A deadline
/// that has passed holds nothing back; `time_point::max()` means no limit.
template <detail::operand A>
[[nodiscard("co_await it")]] detail::shield_operation<A> shield_until(
    std::chrono::steady_clock::time_point deadline,
    A&& awaited) noexcept(std::is_nothrow_constructible_v<detail::sibling<A>, A>) {
  return {detail::clock::duration::max(), deadline, static_cast<A&&>(awaited)};
}

}  // namespace uring6::inline v0

#pragma GCC diagnostic pop
