// when_all: runs several awaitables at the same time and returns all of their results.
#pragma once

#include "uring6/version.hpp"

#include <coroutine>
#include <cstddef>
#include <exception>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "uring6/detail/siblings.hpp"
#include "uring6/task.hpp"

// The destructors of the bases are protected, so no object is deleted through a base; GCC warns nevertheless, because
// the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6::inline v0 {

namespace detail {

/// Waits for all children. The first exception stops the others and is rethrown; later exceptions are dropped.
class URING6_EXPORT all_siblings : public siblings {
 protected:
  void rethrow() {
    close();
    if (failure_) std::rethrow_exception(std::move(failure_));
  }

 private:
  void one_ended(child_promise& which) noexcept final;

  std::exception_ptr failure_;
};

template <awaitable... As>
class when_all_operation final : all_siblings {
 public:
  static constexpr std::string_view wait_name = "when_all";
  using all_siblings::suspended;
  using all_siblings::tell_wait;

  static constexpr bool drops_when_it_loses = !(keeps_when_it_loses<As> && ...);

  explicit when_all_operation(As&&... awaited) noexcept((std::is_nothrow_constructible_v<sibling<As>, As> && ...))
      : parts_(static_cast<As&&>(awaited)...) {}

  reference_awaiter<when_all_operation> operator co_await() && noexcept { return {this}; }

  bool await_ready() const noexcept { return sizeof...(As) == 0; }
  bool await_suspend(std::coroutine_handle<> waiting, const environment& in) {
    open(stop_of(in));
    std::size_t index = 0;
    std::apply([](auto&... part) { (part.prepare(), ...); }, parts_);
    std::apply([&](auto&... part) { (start(part.child(), index++), ...); }, parts_);
    return wait(waiting);
  }
  std::tuple<await_value<As>...> await_resume() {
    rethrow();
    return std::apply([](auto&... part) { return std::tuple<await_value<As>...>(part.value()...); }, parts_);
  }

 private:
  std::tuple<sibling<As>...> parts_;
};

template <class T>
class when_all_of_operation final : all_siblings {
 public:
  static constexpr std::string_view wait_name = "when_all";
  using all_siblings::suspended;
  using all_siblings::tell_wait;

  explicit when_all_of_operation(std::vector<sibling<task<T>>> parts) noexcept : parts_(std::move(parts)) {}

  reference_awaiter<when_all_of_operation> operator co_await() && noexcept { return {this}; }

  bool await_ready() const noexcept { return parts_.empty() && !awaited(); }
  bool await_suspend(std::coroutine_handle<> waiting, const environment& in) {
    open(stop_of(in));
    for (auto& part : parts_) part.prepare();
    // Before the first start: without memory for the values, those of all children would be lost.
    if constexpr (!std::is_void_v<T>) values_.reserve(parts_.size());
    for (std::size_t i = 0; i < parts_.size(); ++i) start(parts_[i].child(), i);
    return wait(waiting);
  }
  auto await_resume() {
    rethrow();
    if constexpr (!std::is_void_v<T>) {
      for (auto& part : parts_) values_.push_back(part.value());
      return std::move(values_);
    }
  }

 private:
  std::vector<sibling<task<T>>> parts_;
  std::vector<await_value<task<T>>> values_;  // unused for void
};

}  // namespace detail

/// Runs all arguments at the same time and waits until every one has ended. Takes tasks, and operations such as
/// `pc.read_from(buffer)` and `sleep_for(1s)`, and owns them: it can be returned and awaited later.
///
/// Returns their values as a std::tuple in the order of the arguments, with std::monostate for void. If one throws,
/// the others are stopped and waited for, and the first exception is rethrown. A stop request reaches all. An
/// operation that ends with an error code (result<T>) stops no other: the error is a value.
///
/// Frames are recycled. It allocates only if more than eight wait at once, and for the token of a child that asks for
/// it (`this_task::stop_token`).
template <detail::operand... As>
[[nodiscard("co_await it")]] detail::when_all_operation<As...> when_all(As&&... awaited) noexcept(
    std::is_nothrow_constructible_v<detail::when_all_operation<As...>, As...>) {
  return detail::when_all_operation<As...>(static_cast<As&&>(awaited)...);
}

/// The same for any number of tasks. Returns a std::vector of their values in their order; nothing for task<void>. It
/// allocates the state of the tasks and the vector of values, before it starts the first task.
template <class T>
[[nodiscard("co_await it")]] detail::when_all_of_operation<T> when_all(std::vector<task<T>> tasks) {
  return detail::when_all_of_operation<T>(detail::siblings_of(std::move(tasks)));
}

}  // namespace uring6::inline v0

#pragma GCC diagnostic pop
