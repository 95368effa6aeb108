// run_blocking: calls a blocking function on a thread of its own.
#pragma once

#include "uring6/version.hpp"

#include <concepts>
#include <coroutine>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "uring6/detail/exceptions.hpp"
#include "uring6/detail/permit_queue.hpp"
#include "uring6/detail/promise.hpp"
#include "uring6/detail/stop_argument.hpp"
#include "uring6/detail/waiting.hpp"
#include "uring6/export.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

namespace detail {

class blocking_wait;

/// The call of a pool thread and the coroutine that waits for it. Both own the job, because either may leave first.
class URING6_EXPORT blocking_job {
 public:
  blocking_job() = default;
  blocking_job(const blocking_job&) = delete;
  blocking_job& operator=(const blocking_job&) = delete;
  virtual ~blocking_job();

  /// Runs on the pool's thread.
  URING6_HIDDEN void run_and_report() noexcept;

 private:
  friend blocking_wait;
  friend class thread_pool;
  enum class state : std::uint8_t { waiting, running, done };

  virtual void run() noexcept = 0;
  /// The coroutine does not wait any more.
  virtual void left() noexcept = 0;

  std::mutex mutex_;
  remote_waker* waiter_ = nullptr;
  state state_ = state::waiting;
  std::shared_ptr<blocking_job> next_;  // the next job in the queue for a thread
};

class URING6_EXPORT blocking_wait : ready_node, stop_listener, remote_waker {
 public:
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiting, const environment& in) {
    return suspend(waiting, stop_of(in));
  }
  void tell_wait(wait_listing& to) const;

 protected:
  explicit blocking_wait(std::shared_ptr<blocking_job> job) noexcept : job_(std::move(job)) {}
  blocking_wait(blocking_wait&&) = default;
  ~blocking_wait();

  /// Call first in await_resume. Returns why there is no outcome; empty if there is one.
  std::error_code finish() noexcept;

 private:
  bool suspend(std::coroutine_handle<> waiting, stop_root& stop);
  URING6_HIDDEN bool leave() noexcept;
  void stop_requested() noexcept override;
  void wake() noexcept override;
  void give_up() noexcept override;
  URING6_HIDDEN void end_call() noexcept;

  std::shared_ptr<blocking_job> job_;
  loop_core* loop_ = nullptr;
  std::error_code error_;
  bool woken_ = false;
  bool counted_ = false;  // among the loop's blocking calls
};

template <class F>
struct blocking_outcome {
  static constexpr bool takes_token = takes_stop_token<F&>;
  static auto call(F& f, const source_of_token<F&>& source) {
    if constexpr (takes_token) {
      return std::invoke(f, source.get_token());
    } else {
      return std::invoke(f);
    }
  }
  using type = decltype(call(std::declval<F&>(), std::declval<source_of_token<F&>&>()));
};

template <class F>
class blocking_call final : public blocking_job {
 public:
  using outcome = blocking_outcome<F>;
  using value_type = typename outcome::type;
  using kept_type = std::conditional_t<std::is_void_v<value_type>, std::monostate, value_type>;

  explicit blocking_call(F f) : f_(std::move(f)) {}

  kept_type take() {
    if (exception_) std::rethrow_exception(std::move(exception_));
    return std::move(*value_);
  }

 private:
  void run() noexcept override {
    URING6_TRY {
      if constexpr (std::is_void_v<value_type>) {
        outcome::call(f_, stop_);
        value_.emplace();
      } else {
        value_.emplace(outcome::call(f_, stop_));
      }
    }
    URING6_CATCH_ALL {
      exception_ = std::current_exception();
    }
  }
  void left() noexcept override { stop_.request_stop(); }

  source_of_token<F&> stop_;
  F f_;  // may keep callbacks of the token
  std::optional<kept_type> value_;
  std::exception_ptr exception_;
};

template <class F>
class blocking_operation final : public blocking_wait {
 public:
  static constexpr std::string_view wait_name = "run_blocking";

  using value_type = kept_value_t<typename blocking_call<F>::value_type>;
  using result_type = std::conditional_t<is_result<value_type>, value_type, result<value_type>>;

  explicit blocking_operation(std::shared_ptr<blocking_call<F>> call) noexcept
      : blocking_wait(call), call_(std::move(call)) {}

  result_type await_resume() {
    if (const auto error = finish()) return fail(error);
    if constexpr (std::is_void_v<value_type>) {
      call_->take();
      return {};
    } else {
      return call_->take();
    }
  }

 private:
  std::shared_ptr<blocking_call<F>> call_;
};

}  // namespace detail

/// Calls `f()`, or `f(token)` if it takes a stop_token or a std::stop_token, on a thread that may block, while
/// the loop goes on. Returns what `f` returns as a result<T> (a result<T> stays as it is), and rethrows what `f`
/// throws.
///
/// A coroutine that is stopped or destroyed leaves at once, with `errc::canceled`. If no thread has begun the call,
/// `f` is not called. Otherwise `f` runs to its end, `token` tells it that the coroutine has left, and its result is
/// dropped. So `f` must own what it uses, or refer to what outlives it, never to the coroutine's variables. `f` is
/// destroyed on either thread; a stop_token that it was given may be used until then. A result that is ready before the
/// stop is delivered.
///
/// The threads belong to the process: at most 16, started on demand, with all signals blocked. Further calls wait for
/// a thread. The end of the program does not wait for these threads. A call takes an allocation or two.
///
/// Errors: `errc::canceled`; `errc::wrong_thread` outside of a running loop; EAGAIN or not_enough_memory if the
/// process has no such thread and cannot start one.
///
/// With GCC 12, name a lambda that captures before the co_await expression (GCC PR 99576):
///
///     auto work = [path] { return load(path); };
///     const auto loaded = co_await run_blocking(work);
template <class F>
requires std::invocable < std::decay_t<F>
& > || detail::takes_stop_token<std::decay_t<F>&> [[nodiscard(
           "co_await it")]] detail::blocking_operation<std::decay_t<F>>
       run_blocking(F&& f) {
  return detail::blocking_operation<std::decay_t<F>>(
      std::make_shared<detail::blocking_call<std::decay_t<F>>>(std::forward<F>(f)));
}

}  // namespace uring6::inline v0
