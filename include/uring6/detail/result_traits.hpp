// What is a result, and what a result<T> takes as its value.
#pragma once

#include <concepts>
#include <system_error>
#include <type_traits>
#include <utility>

namespace uring6::inline v0 {

class failure;
template <class T>
class result;
template <>
class result<void>;
template <class T>
class droppable_result;

namespace detail {

template <class T>
inline constexpr bool is_result = false;
template <class T>
inline constexpr bool is_result<result<T>> = true;
template <class T>
inline constexpr bool is_result<droppable_result<T>> = true;

/// The type as which a result is kept: a droppable_result was not dropped.
template <class T>
struct kept_value : std::type_identity<T> {};
template <class T>
struct kept_value<droppable_result<T>> : std::type_identity<result<T>> {};
template <class T>
using kept_value_t = typename kept_value<std::remove_cvref_t<T>>::type;

/// std::expected and its likes, of any type and error.
template <class X>
concept expected_like = requires {
  typename X::value_type;
  typename X::error_type;
  typename X::unexpected_type;
};

/// A class of another library that holds a T or a std::error_code: std::expected, tl::expected.
template <class X, class T>
concept expected_of = !is_result<X> && !std::is_same_v<X, failure> && requires(const X& x) {
  typename X::value_type;
  typename X::unexpected_type;
  { x.has_value() } -> std::same_as<bool>;
  { x.error() } -> std::same_as<const std::error_code&>;
}
&&std::is_same_v<typename X::value_type, T>;

/// What a result<T> takes as a value: not what converts in another way. A bool would take the `has_value()` of any
/// other library's result.
template <class U, class T>
concept no_other_meaning = !is_result<U> && !std::is_same_v<U, std::in_place_t> && !std::is_same_v<U, failure> &&
                           !expected_of<U, T> && !(std::is_same_v<std::remove_cv_t<T>, bool> && expected_like<U>);

}  // namespace detail

}  // namespace uring6::inline v0
