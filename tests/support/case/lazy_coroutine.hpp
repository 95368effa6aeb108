// A coroutine type of another library: lazy, without a loop. Its promise may take part in uring6's protocol of
// awaiting.
#pragma once

#include <coroutine>
#include <exception>
#include <type_traits>
#include <utility>

#include "uring6/environment.hpp"

namespace uring6::test {

/// The promise of a coroutine that knows nothing of uring6.
struct awaits_anything {};

/// The promise of a coroutine that takes part. It keeps the environment of the co_await that began the coroutine, and
/// gives it to what the coroutine awaits.
struct takes_part {
  template <takes_environment A>
  auto await_transform(A&& awaitable) {
    return with_environment(std::forward<A>(awaitable), mine);
  }
  environment mine;
};

template <class T, class Promise>
class lazy_coroutine {
 public:
  struct promise_type : Promise {
    lazy_coroutine get_return_object() {
      return lazy_coroutine(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    auto final_suspend() const noexcept {
      struct back {
        bool await_ready() const noexcept { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> ended) const noexcept {
          return ended.promise().caller;
        }
        void await_resume() const noexcept {}
      };
      return back{};
    }
    void return_value(T given) { value = std::move(given); }
    void unhandled_exception() { failure = std::current_exception(); }

    T value{};
    std::exception_ptr failure;
    std::coroutine_handle<> caller;
  };

  explicit lazy_coroutine(std::coroutine_handle<promise_type> at) : at_(at) {}
  lazy_coroutine(lazy_coroutine&& from) noexcept : at_(std::exchange(from.at_, nullptr)) {}
  ~lazy_coroutine() {
    if (at_) at_.destroy();
  }

  auto operator co_await() && { return awaiter{at_}; }

  /// Runs it on this thread, with no coroutine that waits for it, until it waits or ends.
  void start() {
    at_.promise().caller = std::noop_coroutine();
    at_.resume();
  }
  bool done() const { return at_.done(); }
  /// Call when it is done. Rethrows its exception.
  T value() const { return awaiter{at_}.await_resume(); }

 private:
  struct awaiter {
    std::coroutine_handle<promise_type> at;
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> caller) const noexcept {
      at.promise().caller = caller;
      return at;
    }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> caller, const environment& in)
        const requires std::is_base_of_v<takes_part, promise_type> {
      at.promise().mine = in;
      return await_suspend(caller);
    }
    T await_resume() const {
      if (at.promise().failure) std::rethrow_exception(at.promise().failure);
      return std::move(at.promise().value);
    }
  };

  std::coroutine_handle<promise_type> at_;
};

}  // namespace uring6::test
