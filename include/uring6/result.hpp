// result<T>: what every operation returns.
#pragma once

#include "uring6/version.hpp"

#include <cassert>
#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include "uring6/detail/exceptions.hpp"
#include "uring6/detail/result_traits.hpp"
#include "uring6/error.hpp"
#include "uring6/failure.hpp"

namespace uring6::inline v0 {

/// The outcome of an operation: a value, or the error code that says why there is none. No operation throws for what
/// the network or the kernel does; use `or_throw` for an exception.
///
/// The interface is that of C++23's `std::expected<T, std::error_code>`, without `swap`, constant expressions and
/// initializer lists; `value()` throws std::system_error, and a result compares with a T, not with what is equal to
/// one. A `std::expected` and a `tl::expected` with std::error_code convert to a result, `to` converts it to them.
///
/// Compilers warn of a dropped result; `(void)` drops one on purpose. For the result of an awaited operation
/// (`co_await pc.write_to(…);`) only clang warns; GCC 12 cannot. A `droppable_result` is not warned of.
///
/// `*r`, `r->` and `r.error()` require that there is a value, or an error; assert(3) checks it. An exception of T's
/// constructor or assignment comes through, and leaves an error in a result that had one.
template <class T>
class [[nodiscard]] result {
  static_assert(std::is_object_v<T> && !std::is_array_v<T> && !std::is_same_v<T, failure>);

 public:
  using value_type = T;
  using error_type = std::error_code;
  using unexpected_type = failure;
  template <class U>
  using rebind = result<U>;

  /// A value-initialised T.
  result() noexcept(std::is_nothrow_default_constructible_v<T>) requires std::default_initializable<T>
      : value_(), tag_(detail::outcome_tag::value()) {}
  template <class U = T>
  requires(detail::no_other_meaning<std::remove_cvref_t<U>, T>&& std::is_constructible_v<T, U>)  //
      explicit(!std::is_convertible_v<U, T>) result(U&& value) noexcept(std::is_nothrow_constructible_v<T, U>)
      : value_(std::forward<U>(value)), tag_(detail::outcome_tag::value()) {}
  result(failure why) noexcept : error_(why.error()), tag_(detail::outcome_tag::error(why.note())) {}
  template <class... Args>
  requires std::is_constructible_v<T, Args...>
  explicit result(std::in_place_t, Args&&... args) noexcept(std::is_nothrow_constructible_v<T, Args...>)
      : value_(std::forward<Args>(args)...), tag_(detail::outcome_tag::value()) {}
  /// From a result of another type.
  template <class U>
  requires(!std::is_same_v<U, T> && !std::is_void_v<U> && std::is_constructible_v<T, U>)  //
      explicit(!std::is_convertible_v<U, T>) result(result<U> from)
      : error_(), tag_(detail::outcome_tag::error()) {
    take(std::move(from));
  }
  /// From std::expected, tl::expected.
  template <class X>
  requires detail::expected_of<std::remove_cvref_t<X>, T> result(X&& from)
      : error_(), tag_(detail::outcome_tag::error()) {
    take(std::forward<X>(from));
  }

  result(const result&) requires std::is_trivially_copy_constructible_v<T>
  = default;
  result(const result& from) noexcept(std::is_nothrow_copy_constructible_v<T>) requires(
      std::is_copy_constructible_v<T> && !std::is_trivially_copy_constructible_v<T>)
      : error_(), tag_(detail::outcome_tag::error()) {
    take(from);
  }
  result(result&&) requires std::is_trivially_move_constructible_v<T>
  = default;
  result(result&& from) noexcept(std::is_nothrow_move_constructible_v<T>) requires(
      std::is_move_constructible_v<T> && !std::is_trivially_move_constructible_v<T>)
      : error_(), tag_(detail::outcome_tag::error()) {
    take(std::move(from));
  }
  result& operator=(const result&) requires(
      std::is_trivially_copy_assignable_v<T>&& std::is_trivially_copy_constructible_v<T>&&
          std::is_trivially_destructible_v<T>) = default;
  result& operator=(const result& from) requires(std::is_copy_assignable_v<T>&& std::is_copy_constructible_v<T> &&
                                                 !(std::is_trivially_copy_assignable_v<T> &&
                                                   std::is_trivially_copy_constructible_v<T> &&
                                                   std::is_trivially_destructible_v<T>)) {
    assign(from);
    return *this;
  }
  result& operator=(result&&) requires(
      std::is_trivially_move_assignable_v<T>&& std::is_trivially_move_constructible_v<T>&&
          std::is_trivially_destructible_v<T>) = default;
  result& operator=(result&& from) noexcept(
      std::is_nothrow_move_assignable_v<T>&& std::is_nothrow_move_constructible_v<
          T>) requires(std::is_move_assignable_v<T>&& std::is_move_constructible_v<T> &&
                       !(std::is_trivially_move_assignable_v<T> && std::is_trivially_move_constructible_v<T> &&
                         std::is_trivially_destructible_v<T>)) {
    assign(std::move(from));
    return *this;
  }
  ~result() requires std::is_trivially_destructible_v<T>
  = default;
  ~result() {
    if (has_value()) std::destroy_at(std::addressof(value_));
  }

  /// Destroys what there is and makes a value. If T's constructor throws, the result holds an error: the one that it
  /// held, or std::errc::operation_canceled.
  template <class... Args>
  requires std::is_constructible_v<T, Args...> T& emplace(Args&&... args) noexcept(
      std::is_nothrow_constructible_v<T, Args...>) {
    const std::error_code kept = has_value() ? std::make_error_code(std::errc::operation_canceled) : error_;
    if (has_value()) hold(kept);
    become([&] { std::construct_at(std::addressof(value_), std::forward<Args>(args)...); }, kept);
    return value_;
  }

  bool has_value() const noexcept { return tag_.has_value(); }
  explicit operator bool() const noexcept { return tag_.has_value(); }

  T* operator->() noexcept {
    assert(has_value());
    return std::addressof(value_);
  }
  const T* operator->() const noexcept {
    assert(has_value());
    return std::addressof(value_);
  }
  T& operator*() & noexcept {
    assert(has_value());
    return value_;
  }
  const T& operator*() const& noexcept {
    assert(has_value());
    return value_;
  }
  T&& operator*() && noexcept {
    assert(has_value());
    return std::move(value_);
  }
  const std::error_code& error() const noexcept {
    assert(!has_value());
    return error_;
  }

  /// The value. Throws std::system_error with the error if there is none.
  T& value() & {
    check();
    return value_;
  }
  const T& value() const& {
    check();
    return value_;
  }
  T&& value() && {
    check();
    return std::move(value_);
  }

  template <class U = T>
  T value_or(U&& instead) const& {
    return has_value() ? value_ : static_cast<T>(std::forward<U>(instead));
  }
  template <class U = T>
  T value_or(U&& instead) && {
    return has_value() ? std::move(value_) : static_cast<T>(std::forward<U>(instead));
  }
  std::error_code error_or(std::error_code instead) const noexcept { return has_value() ? instead : error_; }

  /// `f(value)`, which returns a result; or this error.
  template <class F>
  auto and_then(F&& f) & {
    return then(*this, std::forward<F>(f));
  }
  template <class F>
  auto and_then(F&& f) const& {
    return then(*this, std::forward<F>(f));
  }
  template <class F>
  auto and_then(F&& f) && {
    return then(std::move(*this), std::forward<F>(f));
  }
  /// A result with `f(value)`; or this error.
  template <class F>
  auto transform(F&& f) & {
    return changed(*this, std::forward<F>(f));
  }
  template <class F>
  auto transform(F&& f) const& {
    return changed(*this, std::forward<F>(f));
  }
  template <class F>
  auto transform(F&& f) && {
    return changed(std::move(*this), std::forward<F>(f));
  }
  /// `f(error)`, which returns a result<T>; or this value.
  template <class F>
  result or_else(F&& f) const& {
    check_else<F>();
    return has_value() ? *this : result(std::invoke(std::forward<F>(f), error_));
  }
  template <class F>
  result or_else(F&& f) && {
    check_else<F>();
    return has_value() ? std::move(*this) : result(std::invoke(std::forward<F>(f), error_));
  }
  /// This value; or the error `f(error)`.
  template <class F>
  result transform_error(F&& f) const& {
    return has_value() ? *this : result(failure(std::invoke(std::forward<F>(f), error_)));
  }
  template <class F>
  result transform_error(F&& f) && {
    return has_value() ? std::move(*this) : result(failure(std::invoke(std::forward<F>(f), error_)));
  }

  /// To std::expected, tl::expected: `r.to<std::expected<int, std::error_code>>()`.
  template <class X>
  requires detail::expected_of<X, T> X to()
  const& { return has_value() ? X(value_) : X(typename X::unexpected_type(error_)); }
  template <class X>
  requires detail::expected_of<X, T> X to() && {
    return has_value() ? X(std::move(value_)) : X(typename X::unexpected_type(error_));
  }

 private:
  template <class U>
  friend failure fail(const result<U>& of) noexcept;

  template <class Self, class F>
  static auto then(Self&& self, F&& f) {
    using next = detail::kept_value_t<std::invoke_result_t<F, decltype(*std::forward<Self>(self))>>;
    static_assert(detail::is_result<next>, "and_then takes a function that returns a result");
    return self.has_value() ? next(std::invoke(std::forward<F>(f), *std::forward<Self>(self)))
                           : next(self.why());
  }
  template <class Self, class F>
  static auto changed(Self&& self, F&& f) {
    using next = std::remove_cv_t<std::invoke_result_t<F, decltype(*std::forward<Self>(self))>>;
    if constexpr (std::is_void_v<next>) {
      if (!self.has_value()) return result<next>(self.why());
      std::invoke(std::forward<F>(f), *std::forward<Self>(self));
      return result<next>();
    } else {
      return self.has_value() ? result<next>(std::invoke(std::forward<F>(f), *std::forward<Self>(self)))
                             : result<next>(self.why());
    }
  }

  template <class F>
  static constexpr void check_else() {
    static_assert(std::is_same_v<detail::kept_value_t<std::invoke_result_t<F, const std::error_code&>>, result>,
                  "or_else takes a function that returns such a result");
  }
  void check() const {
    if (!has_value()) detail::throw_or_terminate(std::system_error(error_));
  }

  failure why() const noexcept { return failure(error_, tag_.note()); }

  /// Destroys the value and holds this error instead.
  void hold(const std::error_code& error) noexcept {
    assert(has_value());
    std::destroy_at(std::addressof(value_));
    std::construct_at(std::addressof(error_), error);
    tag_ = detail::outcome_tag::error();
  }
  /// Makes the value in place of the error; an exception brings the error `kept` back.
  template <class Make>
  void become(Make make, std::error_code kept) {
    assert(!has_value());
    std::destroy_at(std::addressof(error_));
    if constexpr (noexcept(make())) {
      make();
    } else {
      URING6_TRY {
        make();
      }
      URING6_CATCH_ALL {
        std::construct_at(std::addressof(error_), kept);
        URING6_RETHROW;
      }
    }
    tag_ = detail::outcome_tag::value();
  }
  /// From an expected or another result, into a new result: `*this` holds an error without meaning.
  template <class From>
  void take(From&& from) {
    if (!from.has_value()) {
      error_ = from.error();
      if constexpr (detail::is_result<std::remove_cvref_t<From>>) tag_ = detail::outcome_tag::error(fail(from).note());
      return;
    }
    std::construct_at(std::addressof(value_), *std::forward<From>(from));
    tag_ = detail::outcome_tag::value();
  }
  template <class From>
  void assign(From&& from) {
    if (!from.has_value()) {
      if (has_value()) hold(from.error_);
      error_ = from.error_;
      tag_ = from.tag_;
    } else if (has_value()) {
      value_ = *std::forward<From>(from);
    } else {
      become(
          [&]() noexcept(std::is_nothrow_constructible_v<T, decltype(*std::forward<From>(from))>) {
            std::construct_at(std::addressof(value_), *std::forward<From>(from));
          },
          error_);
    }
  }

  union {
    T value_;
    std::error_code error_;
  };
  detail::outcome_tag tag_;
};

/// The outcome of an operation that has no value.
template <>
class [[nodiscard]] result<void> {
 public:
  using value_type = void;
  using error_type = std::error_code;
  using unexpected_type = failure;
  template <class U>
  using rebind = result<U>;

  /// It worked.
  result() noexcept : tag_(detail::outcome_tag::value()) {}
  explicit result(std::in_place_t) noexcept : tag_(detail::outcome_tag::value()) {}
  result(failure why) noexcept : error_(why.error()), tag_(detail::outcome_tag::error(why.note())) {}
  /// From std::expected, tl::expected.
  template <class X>
  requires detail::expected_of<X, void> result(const X& from)
  noexcept : tag_(from.has_value() ? detail::outcome_tag::value() : detail::outcome_tag::error()) {
    if (!has_value()) error_ = from.error();
  }

  void emplace() noexcept { tag_ = detail::outcome_tag::value(); }
  bool has_value() const noexcept { return tag_.has_value(); }
  explicit operator bool() const noexcept { return tag_.has_value(); }
  void operator*() const noexcept { assert(has_value()); }
  const std::error_code& error() const noexcept {
    assert(!has_value());
    return error_;
  }
  /// Throws std::system_error with the error if there is one.
  void value() const {
    if (!has_value()) detail::throw_or_terminate(std::system_error(error_));
  }
  std::error_code error_or(std::error_code instead) const noexcept { return has_value() ? instead : error_; }

  /// `f()`, which returns a result; or this error.
  template <class F>
  auto and_then(F&& f) const {
    using next = detail::kept_value_t<std::invoke_result_t<F>>;
    static_assert(detail::is_result<next>, "and_then takes a function that returns a result");
    return has_value() ? next(std::invoke(std::forward<F>(f))) : next(why());
  }
  /// A result with `f()`; or this error.
  template <class F>
  auto transform(F&& f) const {
    using next = std::remove_cv_t<std::invoke_result_t<F>>;
    if constexpr (std::is_void_v<next>) {
      if (!has_value()) return result<void>(why());
      std::invoke(std::forward<F>(f));
      return result<void>();
    } else {
      return has_value() ? result<next>(std::invoke(std::forward<F>(f))) : result<next>(why());
    }
  }
  /// `f(error)`, which returns a result<void>; or this.
  template <class F>
  result or_else(F&& f) const {
    static_assert(std::is_same_v<detail::kept_value_t<std::invoke_result_t<F, const std::error_code&>>, result>,
                  "or_else takes a function that returns such a result");
    return has_value() ? *this : result(std::invoke(std::forward<F>(f), error_));
  }
  /// This; or the error `f(error)`.
  template <class F>
  result transform_error(F&& f) const {
    return has_value() ? *this : result(failure(std::invoke(std::forward<F>(f), error_)));
  }

  /// To std::expected, tl::expected: `r.to<std::expected<void, std::error_code>>()`.
  template <class X>
  requires detail::expected_of<X, void> X to()
  const { return has_value() ? X() : X(typename X::unexpected_type(error_)); }

 private:
  template <class U>
  friend failure fail(const result<U>& of) noexcept;
  failure why() const noexcept { return failure(error_, tag_.note()); }

  std::error_code error_;
  detail::outcome_tag tag_;
};

/// The failure of a result without a value (asserted): its error and its note. `if (!r) return fail(r);` hands both on,
/// `fail(r).text()` says what failed, on which object, and what to do about it.
template <class T>
failure fail(const result<T>& of) noexcept {
  assert(!of.has_value());
  return of.why();
}

// Templates at namespace scope: no conversion to a result is tried when other types are compared.

template <class T>
requires(std::is_void_v<T> || std::equality_comparable<T>) bool operator==(const result<T>& a, const result<T>& b) {
  if (a.has_value() != b.has_value()) return false;
  if (!a.has_value()) return a.error() == b.error();
  if constexpr (std::is_void_v<T>) {
    return true;
  } else {
    return *a == *b;
  }
}
template <class T>
bool operator==(const result<T>& a, const failure& b) noexcept {
  return !a.has_value() && a.error() == b.error();
}
/// Whether there is a value, which equals `b`.
template <std::equality_comparable T>
bool operator==(const result<T>& a, const std::type_identity_t<T>& b) {
  return a.has_value() && *a == b;
}

/// A result of which compilers do not warn when it is dropped: of `close`, of sleeping, and of a tick. Their errors
/// tell a requested stop or a mistake of the program only.
template <class T>
class droppable_result : public result<T> {
 public:
  using result<T>::result;
  droppable_result(result<T> from) noexcept(std::is_nothrow_move_constructible_v<result<T>>)
      : result<T>(std::move(from)) {}
};

/// Returns the value of `r`, or throws `std::system_error` with the text of the failure (`failure::text`):
///
///     or_throw(pc.join_group(link, group));
///
/// throws "join_group ff02::114 on eth0: no such network interface or zone (ip link lists the interfaces)". With `what`
/// the text is `what`, ": ", and the error's message: for operations that note nothing, as reads and writes.
template <class T>
T or_throw(result<T>&& r) {  // read in place: a copy of what was just written in pieces would stall
  if (!r) detail::throw_failure(fail(r));
  if constexpr (!std::is_void_v<T>) return std::move(*r);
}
template <class T>
T or_throw(const result<T>& r) {
  if (!r) detail::throw_failure(fail(r));
  if constexpr (!std::is_void_v<T>) return *r;
}
template <class T>
T or_throw(result<T>&& r, const char* what) {
  if (!r) detail::throw_or_terminate(std::system_error(r.error(), what));
  if constexpr (!std::is_void_v<T>) return std::move(*r);
}
template <class T>
T or_throw(result<T>&& r, const std::string& what) {
  return or_throw(std::move(r), what.c_str());
}
template <class T>
T or_throw(const result<T>& r, const std::string& what) {
  if (!r) detail::throw_or_terminate(std::system_error(r.error(), what));
  if constexpr (!std::is_void_v<T>) return *r;
}

}  // namespace uring6::inline v0
