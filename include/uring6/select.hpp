// select: when_any with names for its operations.
#pragma once

#include "uring6/version.hpp"

#include <array>
#include <cassert>
#include <coroutine>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "uring6/detail/awaitable.hpp"
#include "uring6/when_any.hpp"

namespace uring6::inline v0 {

namespace detail {

/// Whether every name differs from the others.
template <auto First, auto... Rest>
inline constexpr bool distinct = ((First != Rest) && ...) && distinct<Rest...>;
template <auto Last>
inline constexpr bool distinct<Last> = true;

template <class First, class... Rest>
inline constexpr bool one_type = (std::is_same_v<First, Rest> && ...);

template <auto Name, awaitable A>
struct select_arm {
  held_awaitable<A> awaited;
};

}  // namespace detail

/// What `select` returns: the name of the operation that ended first, and its value. `Race` is the result of
/// `when_any` of the operations, whose value is no std::variant if all have `OneType`.
template <class Race, bool OneType, auto... Names>
class selected {
 public:
  using name_type = std::common_type_t<decltype(Names)...>;

  explicit selected(Race race) noexcept(std::is_nothrow_move_constructible_v<Race>) : race_(std::move(race)) {}

  /// The name, for a `switch`: the compiler warns of a name that has no `case`.
  name_type which() const noexcept {
    constexpr std::array<name_type, sizeof...(Names)> names{Names...};
    return names[race_.index];
  }
  bool is(name_type name) const noexcept { return which() == name; }

  /// The value of the operation `Name`; std::monostate for void. A name that is not in the `select` does not compile.
  /// Precondition (asserted): that operation was the first.
  template <auto Name>
  auto& get() & noexcept {
    return value_of<Name>(*this);
  }
  template <auto Name>
  const auto& get() const& noexcept {
    return value_of<Name>(*this);
  }
  template <auto Name>
  auto&& get() && noexcept {
    return std::move(value_of<Name>(*this));
  }

 private:
  template <auto Name, class Self>
  static auto& value_of(Self& self) noexcept {
    static_assert(((Name == Names) || ...), "the select has no operation of this name");
    assert(self.is(Name) && "another operation was the first");
    constexpr std::array<bool, sizeof...(Names)> same{(Name == Names)...};
    constexpr std::size_t place = [&] {
      std::size_t at = 0;
      while (!same[at]) ++at;
      return at;
    }();
    if constexpr (OneType) {
      return self.race_.value;
    } else {
      return *std::get_if<place>(&self.race_.value);
    }
  }

  Race race_;
};

namespace detail {

template <class... Arms>
class select_operation;

template <auto... Names, awaitable... As>
class select_operation<select_arm<Names, As>...> {
 public:
  using race = when_any_operation<As...>;
  using result_type = selected<typename race::result_type, one_type<await_value<As>...>, Names...>;

  explicit select_operation(select_arm<Names, As>&&... arms) : race_(static_cast<As&&>(arms.awaited)...) {}

  struct awaiter {
    static constexpr std::string_view wait_name = "select";

    race* race_of;
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiting, const environment& in) const {
      return race_of->await_suspend(waiting, in);
    }
    result_type await_resume() const { return result_type(race_of->await_resume()); }
    void suspended(promise_base& waiting) const noexcept { race_of->suspended(waiting); }
    void tell_wait(wait_listing& to) const { race_of->tell_wait(to); }
  };
  awaiter operator co_await() && noexcept { return {&race_}; }

 private:
  race race_;
};

}  // namespace detail

/// One operation of a `select`, and its name, an enumerator.
template <auto Name, detail::operand A>
requires(std::is_enum_v<decltype(Name)>&& detail::keeps_when_it_loses<A>)  //
    [[nodiscard]] detail::select_arm<Name, A> on(A&& awaited) {
  return {static_cast<A&&>(awaited)};
}

// The compiler's message shows the line of the declaration, so the advice stands there. clang-format off
template <auto Name, detail::operand A>
requires(!detail::keeps_when_it_loses<A>) void on(A&&) =
    delete;  // fd::read, fd::write would lose octets: race fd::poll, or discarding(fd::read(...))
// clang-format on

/// Runs the operations at the same time until one has ended, as `when_any`, whose rules for stops, exceptions and what
/// losers keep hold here. Returns which one it was by the name that `on` gave it, so that neither the order of the
/// operations nor an index has to be remembered. Go: select. tokio: select!.
///
///     enum class next { question, tick, signal };
///     auto first = co_await select(on<next::question>(pc.read_from(buffer)), on<next::tick>(every.tick()),
///                                  on<next::signal>(hears.next()));
///     switch (first.which()) {
///       case next::question: answer(first.get<next::question>()); break;
///       case next::tick: report(); break;
///       case next::signal: co_return;
///     }
template <auto... Names, detail::operand... As>
[[nodiscard("co_await it")]] detail::select_operation<detail::select_arm<Names, As>...> select(
    detail::select_arm<Names, As>... arms) {
  static_assert(sizeof...(Names) > 0 && detail::distinct<Names...>, "two operations have the same name");
  return detail::select_operation<detail::select_arm<Names, As>...>(std::move(arms)...);
}

}  // namespace uring6::inline v0
