// A child: the coroutine that scope, when_all and when_any wrap around each awaitable that they run at the same time.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <source_location>
#include <utility>

#include "uring6/detail/promise.hpp"
#include "uring6/detail/waiting.hpp"

namespace uring6::inline v0::detail {

class child;
class child_promise;

/// The object that started children. Each child tells it of its end.
class child_owner {
 public:
  /// Called by the child as its last action; do not destroy the child's frame in here. Returns the coroutine that
  /// runs next, in the child's place.
  virtual std::coroutine_handle<> ended(child_promise& which) noexcept = 0;

 protected:
  ~child_owner() = default;
};

/// The link in the parent's list; a second link is in the ready queue.
struct sibling_hook : list_hook {
  ~sibling_hook() { unlink(); }
};

class child_promise final : public promise_base, public ready_node, public sibling_hook {
 public:
  child get_return_object() noexcept;

  auto final_suspend() const noexcept {
    struct at_end {
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<child_promise> ended) const noexcept {
        return ended.promise().owner_->ended(ended.promise());
      }
      void await_resume() const noexcept {}
    };
    return at_end{};
  }
  void return_void() const noexcept {}
  void unhandled_exception() noexcept { exception = std::current_exception(); }

  void set_owner(child_owner& who, stop_root& stop) noexcept {
    owner_ = &who;
    inherit_stop(stop);
  }

  std::exception_ptr exception;
  /// Its index among its siblings, if they are counted.
  std::size_t index = 0;
  /// Where it was spawned, for an error message.
  std::source_location where;

 private:
  child_owner* owner_ = nullptr;
};

/// Owns a child's frame. If the frame is destroyed before the child's end, the operation that the child awaits is
/// canceled.
class child {
 public:
  using promise_type = child_promise;

  child() noexcept = default;
  child(child&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  child& operator=(child&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~child() {
    if (handle_) handle_.destroy();
  }

  explicit operator bool() const noexcept { return static_cast<bool>(handle_); }
  child_promise& promise() const noexcept { return handle_.promise(); }

  /// Runs the child until it waits for the first time, or ends.
  void start() const { handle_.resume(); }

  /// The caller owns the frame from now on.
  std::coroutine_handle<child_promise> release() noexcept { return std::exchange(handle_, nullptr); }

 private:
  friend child_promise;
  explicit child(std::coroutine_handle<child_promise> handle) noexcept : handle_(handle) {}

  std::coroutine_handle<child_promise> handle_;
};

inline child child_promise::get_return_object() noexcept {
  const auto own = std::coroutine_handle<child_promise>::from_promise(*this);
  set_frame(own);
  return child(own);
}

}  // namespace uring6::inline v0::detail
