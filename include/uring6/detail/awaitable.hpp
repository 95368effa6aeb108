// What co_await accepts, and what it returns.
#pragma once

#include <concepts>
#include <coroutine>
#include <type_traits>
#include <utility>
#include <variant>

#include "uring6/result.hpp"

namespace uring6::inline v0 {
class environment;
}

namespace uring6::inline v0::detail {

template <class A>
concept has_member_co_await = requires(A&& a) {
  std::forward<A>(a).operator co_await();
};

template <class A>
concept has_free_co_await = requires(A&& a) {
  operator co_await(std::forward<A>(a));
};

template <class A>
decltype(auto) awaiter_of(A&& a) {
  if constexpr (has_member_co_await<A>) {
    return std::forward<A>(a).operator co_await();
  } else if constexpr (has_free_co_await<A>) {
    return operator co_await(std::forward<A>(a));
  } else {
    return static_cast<A&&>(a);
  }
}

/// A type that can stand after co_await; a reference type for an lvalue that is awaited.
template <class A>
concept awaitable = requires(A&& a) {
  { awaiter_of(std::forward<A>(a)).await_ready() } -> std::convertible_to<bool>;
  awaiter_of(std::forward<A>(a)).await_resume();
};

template <awaitable A>
using await_result = decltype(awaiter_of(std::declval<A>()).await_resume());

/// The result of an await as a value that can be kept; void becomes std::monostate.
template <awaitable A>
using await_value = std::conditional_t<std::is_void_v<await_result<A>>, std::monostate, kept_value_t<await_result<A>>>;

/// What a combinator takes: not an awaiter that the caller names, because it would refer to that variable.
template <class A>
concept operand = awaitable<A> &&(!std::is_lvalue_reference_v<A> || has_member_co_await<A> || has_free_co_await<A>);

/// How an operation keeps its arguments: by value, so that it can be returned, stored and awaited later. An awaitable
/// of another library that cannot be moved is kept by reference: as a temporary it lives until the end of the
/// co_await expression.
template <class A>
using held_awaitable = std::conditional_t<!std::is_lvalue_reference_v<A> && std::is_move_constructible_v<A>,
                                          std::remove_cvref_t<A>, std::remove_reference_t<A>&>;

/// Whether a dropped result loses nothing: when_any drops the results of its losers. An awaiter that moves octets
/// which no later call can deliver declares `drops_when_it_loses`; an awaiter that awaits another one passes its
/// declaration on.
template <class A>
inline constexpr bool keeps_when_it_loses = true;
template <class A>
requires requires {
  std::remove_cvref_t<A>::drops_when_it_loses;
}
inline constexpr bool keeps_when_it_loses<A> = !std::remove_cvref_t<A>::drops_when_it_loses;

/// Awaits an awaiter in place, because GCC 12 moves or copies an awaiter that an expression names.
template <class Awaiter>
struct reference_awaiter {
  Awaiter* awaiter;

  template <class Environment>
  void try_now(const Environment& in) const requires requires(Awaiter& each) { each.try_now(in); } {
    awaiter->try_now(in);
  }
  bool await_ready() const { return awaiter->await_ready(); }
  decltype(auto) await_suspend(std::coroutine_handle<> waiting, const environment& in) const {
    return awaiter->await_suspend(waiting, in);
  }
  decltype(auto) await_resume() const { return awaiter->await_resume(); }

  /// The awaiter that tells what it waits for.
  Awaiter& teller() const noexcept { return *awaiter; }
};

/// The kept awaitable as the operand of co_await.
template <class A>
decltype(auto) operand_of(std::remove_reference_t<A>& held) noexcept {
  if constexpr (has_member_co_await<A> || has_free_co_await<A>) {
    return static_cast<A&&>(held);
  } else {
    return reference_awaiter<std::remove_reference_t<A>>{&held};
  }
}

}  // namespace uring6::inline v0::detail
