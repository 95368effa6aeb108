// when_any: runs several awaitables at the same time until one has ended.
#pragma once

#include "uring6/version.hpp"

#include <coroutine>
#include <cstddef>
#include <exception>
#include <stdexcept>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "uring6/detail/exceptions.hpp"
#include "uring6/detail/siblings.hpp"
#include "uring6/task.hpp"

// The destructors of the bases are protected, so no object is deleted through a base; GCC warns nevertheless, because
// the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6::inline v0 {

/// The index of the first argument that ended, and its value: a plain value if all arguments have one type, else a
/// std::variant with one alternative for each argument, in their order. std::monostate stands for void.
template <class Value>
struct when_any_result {
  std::size_t index;
  Value value;
};

namespace detail {

template <class First, class... Rest>
struct any_value : std::conditional<(std::is_same_v<First, Rest> && ...), First, std::variant<First, Rest...>> {};

/// The first child that ends stops the others.
class URING6_EXPORT any_siblings : public siblings {
 protected:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  /// The index of the first child that ended.
  std::size_t winner() const noexcept { return winner_; }
  bool decided() const noexcept { return winner_ != none; }
  /// Call first in await_resume.
  void rethrow() {
    close();
    if (failure_) std::rethrow_exception(std::move(failure_));
  }

 private:
  void one_ended(child_promise& which) noexcept final;

  std::size_t winner_ = none;
  std::exception_ptr failure_;
};

template <awaitable... As>
class when_any_operation final : any_siblings {
 public:
  static constexpr std::string_view wait_name = "when_any";
  using any_siblings::suspended;
  using any_siblings::tell_wait;

  using result_type = when_any_result<typename any_value<await_value<As>...>::type>;

  explicit when_any_operation(As&&... awaited) noexcept((std::is_nothrow_constructible_v<sibling<As>, As> && ...))
      : parts_(static_cast<As&&>(awaited)...) {}

  reference_awaiter<when_any_operation> operator co_await() && noexcept { return {this}; }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiting, const environment& in) {
    open(stop_of(in));
    std::apply([](auto&... part) { (part.prepare(), ...); }, parts_);
    start_from<0>();
    return wait(waiting);
  }
  result_type await_resume() {
    rethrow();
    return value_from<0>();
  }

 private:
  template <std::size_t I>
  void start_from() {
    start(std::get<I>(parts_).child(), I);
    if constexpr (I + 1 < sizeof...(As)) {
      if (!decided()) start_from<I + 1>();
    }
  }

  template <std::size_t I>
  result_type value_from() {
    using value_type = decltype(result_type::value);
    if constexpr (I + 1 < sizeof...(As)) {
      if (winner() != I) return value_from<I + 1>();
    }
    if constexpr ((std::is_same_v<value_type, await_value<As>> && ...)) {
      return {I, std::get<I>(parts_).value()};
    } else {
      return {I, value_type(std::in_place_index<I>, std::get<I>(parts_).value())};
    }
  }

  std::tuple<sibling<As>...> parts_;
};

template <class T>
class when_any_of_operation final : any_siblings {
 public:
  static constexpr std::string_view wait_name = "when_any";
  using any_siblings::suspended;
  using any_siblings::tell_wait;

  using result_type = when_any_result<await_value<task<T>>>;

  explicit when_any_of_operation(std::vector<sibling<task<T>>> parts) : parts_(std::move(parts)) {
    if (parts_.empty()) throw_or_terminate(std::invalid_argument("uring6: when_any of no tasks would never end"));
  }

  reference_awaiter<when_any_of_operation> operator co_await() && noexcept { return {this}; }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiting, const environment& in) {
    open(stop_of(in));
    for (auto& part : parts_) part.prepare();
    for (std::size_t i = 0; i < parts_.size() && !decided(); ++i) start(parts_[i].child(), i);
    return wait(waiting);
  }
  result_type await_resume() {
    rethrow();
    return {winner(), parts_[winner()].value()};
  }

 private:
  std::vector<sibling<task<T>>> parts_;
};

template <awaitable A>
class discarding_operation {
 public:
  explicit discarding_operation(A&& awaited) noexcept(
      std::is_nothrow_constructible_v<held_awaitable<A>, held_awaitable<A>&&>)
      : awaited_(static_cast<held_awaitable<A>&&>(awaited)) {}

  decltype(auto) operator co_await() && noexcept {
    if constexpr (has_member_co_await<A> || has_free_co_await<A>) {
      return awaiter_of(static_cast<A&&>(awaited_));
    } else {
      return reference_awaiter<std::remove_reference_t<A>>{&awaited_};
    }
  }

 private:
  held_awaitable<A> awaited_;
};

}  // namespace detail

/// Lets `when_any` take `fd::read(…)` or `fd::write(…)`, which lose octets when they lose the race. The caller
/// thereby gives up the descriptor's stream for that case. Returns what the operation returns.
///
///     auto first = co_await when_any(discarding(fd::read(file, buffer)), sleep_for(1s));
template <detail::operand A>
[[nodiscard("co_await it")]] detail::discarding_operation<A> discarding(A&& awaited) noexcept(
    std::is_nothrow_constructible_v<detail::discarding_operation<A>, A>) {
  return detail::discarding_operation<A>(static_cast<A&&>(awaited));
}

/// Runs all arguments at the same time until one has ended, stops the others, waits for them, too, and returns the
/// index and the value of the first. Takes tasks, and operations such as `pc.read_from(buffer)` and `sleep_for(1s)`,
/// and owns them: it can be returned and awaited later. Go: select.
///
/// The arguments start in their order. If one ends at once, those behind it are not started. An exception of the
/// first is rethrown. The results of the others are dropped, exceptions included. A stop request from outside reaches
/// all; the first one that it ends counts as the first.
///
/// Frames are recycled. It allocates only if more than eight wait at once, and for the token of a child that asks for
/// it (`this_task::stop_token`).
///
/// What a loser has not delivered to its coroutine stays for the next call: datagrams, connections of `accept`,
/// octets of a tcp_conn, values of a channel, signals. These exceptions lose something:
/// - `write` and `write_some` of a tcp_conn: a part may have gone, as `stats().sent_bytes` tells.
/// - `write_to` and `write_batch`: the datagrams may have gone.
/// - `dial_tcp`: it closes its connection.
/// - `fd::read(…)` and `fd::write(…)`: the octets and their number are lost. They do not compile in here without
///   `discarding`; let `fd::poll(…)` race, and read or write when it has won.
/// - A task: its value is dropped, with everything that it had taken.
/// - `when_all` and `when_any` as arguments: a value that one of their children has taken while they wait for the other
///   children is dropped with their value. `with_timeout` drops nothing.
///
///     auto first = co_await when_any(pc.read_from(buffer), sleep_for(1s));
///     if (first.index == 0) use(std::get<0>(first.value));
template <detail::operand... As>
requires(sizeof...(As) > 0 && (detail::keeps_when_it_loses<As> && ...))
    [[nodiscard("co_await it")]] detail::when_any_operation<As...> when_any(As&&... awaited) noexcept(
        std::is_nothrow_constructible_v<detail::when_any_operation<As...>, As...>) {
  return detail::when_any_operation<As...>(static_cast<As&&>(awaited)...);
}

// The compiler's message shows the line of the declaration, so the advice stands there. clang-format off
template <detail::operand... As>
requires(!(detail::keeps_when_it_loses<As> && ...)) void when_any(As&&...) =
    delete;  // fd::read, fd::write would lose octets: race fd::poll, or discarding(fd::read(...))
// clang-format on

/// The same for any number of tasks. Throws std::invalid_argument without tasks. It allocates the state of the tasks.
template <class T>
[[nodiscard("co_await it")]] detail::when_any_of_operation<T> when_any(std::vector<task<T>> tasks) {
  return detail::when_any_of_operation<T>(detail::siblings_of(std::move(tasks)));
}

}  // namespace uring6::inline v0

#pragma GCC diagnostic pop
