// The protocol of awaiting: what a coroutine hands to what it awaits, and what an awaitable of another library offers.
#pragma once

#include "uring6/version.hpp"

#include <concepts>
#include <coroutine>
#include <type_traits>
#include <utility>

#include "uring6/detail/awaitable.hpp"
#include "uring6/detail/stop_root.hpp"
#include "uring6/export.hpp"
#include "uring6/stop_token.hpp"

namespace uring6::inline v0 {

class event_loop;
class environment;

namespace detail {

class promise_base;
stop_root& stop_of(const environment& in) noexcept;

}  // namespace detail

/// What a coroutine hands to what it awaits: its stop, and its loop.
///
/// A task awaits what has `await_suspend(std::coroutine_handle<>, const environment&)`: all operations of uring6, and
/// each awaitable of another library that wants to hear of stops and resumes the task on its loop's thread. Others are
/// awaited with `foreign`. docs/awaiting.md has a coroutine type of another kind that takes part.
///
/// A small value. It may be copied, and used while the awaiting coroutine waits.
class environment {
 public:
  /// That of a coroutine which has none: no stop reaches what it awaits.
  environment() = default;

  /// The token of the awaiting coroutine. On the loop's thread. Throws std::bad_alloc.
  uring6::stop_token stop_token() const { return stop_->token(); }

  /// On the loop's thread; on others ask the token.
  bool stop_requested() const noexcept { return stop_->stop_requested(); }

  /// The loop that runs on the calling thread, nullptr on others: an awaitable that leaves the thread keeps it, to come
  /// back by `resume_on`.
  URING6_EXPORT event_loop* loop() const noexcept;

 private:
  friend class detail::promise_base;
  friend detail::stop_root& detail::stop_of(const environment& in) noexcept;

  explicit environment(detail::stop_root& stop) noexcept : stop_(&stop) {}

  detail::stop_root* stop_ = &detail::never_stopped;
};

namespace detail {

inline stop_root& stop_of(const environment& in) noexcept {
  return *in.stop_;
}

/// An awaiter that is made for the await, or a reference to one that lives until its end.
template <class A>
using awaiter_type = decltype(awaiter_of(std::declval<A>()));

/// Awaitables that follow the protocol of `environment`.
template <class A>
concept takes_environment = awaitable<A> && requires(awaiter_type<A>&& awaiter, const environment& in) {
  awaiter.await_suspend(std::coroutine_handle<>(), in);
};

/// Operations that are often over at once: `try_now` is called before the coroutine is suspended, and `await_ready`
/// tells whether that was it. A coroutine that goes on at once need not store its state.
template <class Awaiter>
concept tries_first = requires(Awaiter& awaiter, const environment& in) {
  awaiter.try_now(in);
};

/// Operations that must be moved into their await: `co_await std::move(operation)`.
template <class A>
concept named_value =
    std::is_lvalue_reference_v<A> && !has_member_co_await<A> && has_member_co_await<std::remove_reference_t<A>>;

/// Hands an environment to the awaiter. GCC 12 moves or copies an awaiter that an expression names: a reference stays.
template <class Awaiter>
struct awaiter_within {
  Awaiter awaiter;
  environment in;

  decltype(auto) await_ready() {
    if constexpr (tries_first<Awaiter>) awaiter.try_now(in);
    return awaiter.await_ready();
  }
  decltype(auto) await_suspend(std::coroutine_handle<> waiting) { return awaiter.await_suspend(waiting, in); }
  decltype(auto) await_resume() { return awaiter.await_resume(); }
};

/// Owns what it awaits, as all operations do.
template <class A>
class operation_within {
 public:
  operation_within(A&& awaited, const environment& in) noexcept(
      std::is_nothrow_constructible_v<held_awaitable<A>, held_awaitable<A>&&>)
      : awaited_(static_cast<held_awaitable<A>&&>(awaited)), in_(in) {}

  awaiter_within<awaiter_type<A>> operator co_await() && { return {awaiter_of(static_cast<A&&>(awaited_)), in_}; }

 private:
  held_awaitable<A> awaited_;
  environment in_;
};

}  // namespace detail

/// Awaitables that follow the protocol of `environment`.
template <class A>
concept takes_environment = detail::takes_environment<A>;

/// For the `await_transform` of a coroutine type of another library: `co_await with_environment(awaitable, mine)` hands
/// the environment on that the coroutine itself was given. With `environment()` no stop reaches the awaitable. Owns the
/// awaitable, and can be returned.
template <takes_environment A>
[[nodiscard("co_await it")]] detail::operation_within<A> with_environment(A&& awaitable, const environment& in) {
  return {static_cast<A&&>(awaitable), in};
}

}  // namespace uring6::inline v0
