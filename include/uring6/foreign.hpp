// foreign: a task awaits an awaitable of another library, and stays on its own loop.
#pragma once

#include "uring6/version.hpp"

#include <atomic>
#include <cassert>
#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include "uring6/detail/awaitable.hpp"
#include "uring6/detail/exceptions.hpp"
#include "uring6/detail/promise.hpp"
#include "uring6/detail/stop_argument.hpp"
#include "uring6/detail/waiting.hpp"
#include "uring6/error.hpp"

namespace uring6::inline v0 {

namespace detail {

/// A factory makes the awaitable, out of the task's stop token or of nothing.
template <class T>
concept foreign_factory = takes_stop_token<T> || std::is_invocable_v<T>;

template <class T>
struct foreign_result {
  using type = await_result<T>;
};
template <foreign_factory T>
requires(!takes_stop_token<T>) struct foreign_result<T> {
  using type = await_result<std::invoke_result_t<T>>;
};
template <takes_stop_token T>
struct foreign_result<T> {
  using type = await_result<std::invoke_result_t<T, token_argument<T>>>;
};

/// The part of a foreign wait that does not depend on its result. The bridge is a coroutine that awaits the awaitable.
/// At its end, on any thread, the bridge calls the loop, and the loop resumes the task.
class foreign_wait : protected ready_node, remote_target {
 public:
  class promise;
  using handle_type = std::coroutine_handle<promise>;

  static constexpr std::string_view wait_name = "foreign";

  bool await_ready() const noexcept { return false; }
  void tell_wait(wait_listing& to) const { to.ready_if(linked()); }

 protected:
  foreign_wait() = default;
  foreign_wait(foreign_wait&& from) noexcept : ready_node(std::move(from)), remote_target(std::move(from)) {}
  ~foreign_wait() { assert(!bridge_ && "the derived class awaits the bridge's end"); }

  /// Throws `errc::wrong_thread` outside of a loop; std::bad_alloc.
  void begin(std::coroutine_handle<> waiting) {
    begin_wait(waiting);
    at_ = current_loop();
    if (!at_) throw_or_terminate(std::system_error(errc::wrong_thread, "uring6::foreign"));
    open(*at_);
  }
  inline void start(handle_type bridge);
  inline void finish_bridge() noexcept;

 private:
  void called() noexcept override { make_ready(*at_, *this); }
  void loop_ends() noexcept override {
    ended_.wait(false, std::memory_order_acquire);
    close();
  }

  // Called by the bridge at its end, on any thread. The store is its last use of this object.
  void end() noexcept {
    call();
    ended_.store(true, std::memory_order_release);
    ended_.notify_all();
  }

  loop_core* at_ = nullptr;
  handle_type bridge_;
  std::atomic<bool> ended_{false};
};

class foreign_wait::promise final : public frame_memory {
 public:
  handle_type get_return_object() noexcept { return handle_type::from_promise(*this); }
  std::suspend_always initial_suspend() const noexcept { return {}; }
  auto final_suspend() const noexcept {
    struct at_end {
      bool await_ready() const noexcept { return false; }
      void await_suspend(handle_type ended) const noexcept { ended.promise().owner->end(); }
      void await_resume() const noexcept {}
    };
    return at_end{};
  }
  void return_void() const noexcept {}
  void unhandled_exception() const noexcept { std::terminate(); }  // the bridge catches every exception

  foreign_wait* owner = nullptr;
};

inline void foreign_wait::start(handle_type bridge) {
  bridge_ = bridge;
  bridge.promise().owner = this;
  bridge.resume();
}

inline void foreign_wait::finish_bridge() noexcept {
  if (!bridge_) return;
  ended_.wait(false, std::memory_order_acquire);
  close();
  std::exchange(bridge_, nullptr).destroy();
}

struct foreign_bridge {
  using promise_type = foreign_wait::promise;
  foreign_bridge(foreign_wait::handle_type at) noexcept : handle(at) {}  // NOLINT(google-explicit-constructor)
  foreign_wait::handle_type handle;
};

/// What the awaitable gave: a value, a reference (kept as a pointer), or nothing.
template <class T>
class foreign_value {
 public:
  template <class U>
  void set(U&& value) {
    if constexpr (std::is_reference_v<T>) {
      kept_.emplace(std::addressof(value));
    } else {
      kept_.emplace(std::forward<U>(value));
    }
  }
  T take() {
    if constexpr (std::is_reference_v<T>) {
      return static_cast<T>(**kept_);
    } else {
      return std::move(*kept_);
    }
  }

 private:
  std::optional<std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T>*, T>> kept_;
};

template <class Work>
class foreign_operation final : public foreign_wait {
  using value_type = typename foreign_result<Work>::type;
  static constexpr bool is_void = std::is_void_v<value_type>;

 public:
  explicit foreign_operation(Work&& work) : work_(std::move(work)) {}
  foreign_operation(foreign_operation&&) = default;
  /// Blocks until the awaitable has ended, because it may still use the members.
  ~foreign_operation() { finish_bridge(); }

  void await_suspend(std::coroutine_handle<> waiting, const environment& in) {
    stop_token stop;
    if constexpr (takes_stop_token<Work>) stop = stop_of(in).token();
    foreign_wait::begin(waiting);
    start(bridge(*this, std::move(stop)).handle);
  }

  value_type await_resume() {
    finish_bridge();
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    if constexpr (!is_void) return value_.take();
  }

 private:
  static foreign_bridge bridge(foreign_operation& of, [[maybe_unused]] stop_token stop) {
    URING6_TRY {
      if constexpr (takes_stop_token<Work>) {
        [[maybe_unused]] const stop_argument<Work> argument(std::move(stop));
        if constexpr (is_void) {
          co_await of.work_(argument.token());
        } else {
          of.value_.set(co_await of.work_(argument.token()));
        }
      } else if constexpr (foreign_factory<Work>) {
        if constexpr (is_void) {
          co_await of.work_();
        } else {
          of.value_.set(co_await of.work_());
        }
      } else if constexpr (is_void) {
        co_await std::move(of.work_);
      } else {
        of.value_.set(co_await std::move(of.work_));
      }
    }
    URING6_CATCH_ALL {
      of.failure_ = std::current_exception();
    }
  }

  struct nothing {};
  Work work_;
  std::exception_ptr failure_;
  [[no_unique_address]] std::conditional_t<is_void, nothing, foreign_value<value_type>> value_;
};

}  // namespace detail

/// Awaits what belongs to another library: an awaitable, or a function that makes one. `co_await foreign(work)` returns
/// what the awaitable returns, or rethrows its exception, on the loop's thread. A task refuses to await such a thing
/// directly, because it may resume the task on another thread (`environment`).
///
/// - A function of stop_token gets the task's: `foreign([](stop_token stop) { return other::wait(stop); })`. A function
///   of std::stop_token gets one that follows it, for one more allocation. An awaitable that takes no token does not
///   hear of a stop: the task waits for its end.
/// - The awaitable begins at the `co_await`, on the loop's thread.
/// - A task that is destroyed while it waits, or whose loop ends, blocks until the awaitable has ended, because the
///   awaitable may use the task's memory. It must not need this loop's thread then.
/// - Outside of a running loop it throws std::system_error (`errc::wrong_thread`). A wait takes two allocations, and
///   may throw std::bad_alloc before the awaitable begins.
template <class Work>
[[nodiscard("co_await it")]] detail::foreign_operation<std::remove_cvref_t<Work>> foreign(Work&& work) {
  static_assert(!std::is_lvalue_reference_v<Work> || detail::foreign_factory<std::remove_cvref_t<Work>> ||
                    std::is_copy_constructible_v<std::remove_cvref_t<Work>>,
                "move the awaitable in: foreign(std::move(awaitable))");
  return detail::foreign_operation<std::remove_cvref_t<Work>>(std::remove_cvref_t<Work>(std::forward<Work>(work)));
}

}  // namespace uring6::inline v0
