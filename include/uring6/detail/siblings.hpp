// The common part of when_all, when_any and sole_child.hpp: children that one coroutine starts together and waits for.
#pragma once

#include <cassert>
#include <coroutine>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "uring6/detail/awaitable.hpp"
#include "uring6/detail/child.hpp"
#include "uring6/detail/local_stop.hpp"
#include "uring6/detail/waiting.hpp"
#include "uring6/export.hpp"
#include "uring6/task.hpp"

namespace uring6::inline v0::detail {

/// One child: the awaitable that it runs, and its result.
template <awaitable A>
class sibling {
 public:
  using value_type = await_value<A>;

  explicit sibling(A&& awaited) noexcept(std::is_nothrow_constructible_v<held_awaitable<A>, held_awaitable<A>&&>)
      : awaited_(static_cast<held_awaitable<A>&&>(awaited)) {}

  /// Makes the child's coroutine without starting it. The sibling must not be moved from now on. Throws
  /// std::bad_alloc. So all coroutines are made before the first one starts: a lack of memory loses nothing that a
  /// child has done.
  void prepare() { child_ = run(*this); }
  const detail::child& child() const noexcept { return child_; }
  std::exception_ptr& exception() noexcept { return child_.promise().exception; }
  value_type&& value() noexcept { return std::move(*value_); }

 private:
  static detail::child run(sibling& self) {
    if constexpr (std::is_void_v<await_result<A>>) {
      co_await operand_of<A>(self.awaited_);
      self.value_.emplace();
    } else {
      value_type value = co_await operand_of<A>(self.awaited_);
      self.value_.emplace(std::move(value));
    }
  }

  held_awaitable<A> awaited_;
  std::optional<value_type> value_;
  detail::child child_;  // last member: the awaitable outlives the coroutine that awaits it
};

template <class T>
std::vector<sibling<task<T>>> siblings_of(std::vector<task<T>> tasks) {
  std::vector<sibling<task<T>>> parts;
  parts.reserve(tasks.size());
  for (task<T>& each : tasks) parts.emplace_back(std::move(each));
  return parts;
}

/// Each is a value that owns its operands until it is awaited, as an rvalue (operator co_await &&).
class URING6_EXPORT siblings : child_owner {
 public:
  siblings() = default;
  /// The moved-from siblings count as awaited.
  siblings(siblings&& from) noexcept : awaited_(std::exchange(from.awaited_, true)) {
    assert(from.running_ == 0 && "moved while they run");
  }
  siblings& operator=(const siblings&) = delete;

  void suspended(promise_base& waiting) noexcept { waiting_promise_ = &waiting; }
  void tell_wait(wait_listing& to) const;

 protected:
  ~siblings() = default;

  /// Call before the first start. Throws std::logic_error outside of a running loop and at the second call,
  /// std::bad_alloc.
  void open(stop_root& inherited);

  /// Runs `one` until it waits for the first time, or ends.
  void start(const child& one, std::size_t index);

  bool awaited() const noexcept { return awaited_; }

  /// Call after the last start. Returns whether a sibling still runs; then `waiting` is resumed when the last one has
  /// ended.
  bool wait(std::coroutine_handle<> waiting);

  /// Call first in await_resume.
  void close() noexcept {
    if (waiting_promise_) waiting_promise_->runs();
    stop_.close();
  }

  /// On the loop's thread. All waiting siblings have been told when this returns.
  void request_stop() noexcept { stop_.request(); }
  bool stop_requested() const noexcept { return stop_.requested(); }
  loop_core& loop() const noexcept { return *loop_; }

 private:
  std::coroutine_handle<> ended(child_promise& which) noexcept final;
  /// A sibling has ended; others may still run.
  virtual void one_ended(child_promise& which) noexcept = 0;

  loop_core* loop_ = nullptr;
  std::coroutine_handle<> waiting_;
  promise_base* waiting_promise_ = nullptr;  // nullptr: `waiting_` is a coroutine of another library
  intrusive_list<child_promise, sibling_hook> children_;
  std::size_t running_ = 0;
  bool awaited_ = false;
  local_stop stop_;
};

}  // namespace uring6::inline v0::detail
