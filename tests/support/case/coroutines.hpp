// Coroutines in a test: run beside each other, destroyed while they wait, and never waited for without a limit.
#pragma once

#include <unistd.h>

#include <chrono>
#include <concepts>
#include <coroutine>
#include <exception>
#include <stdexcept>
#include <utility>

#include "runtime/loop/loop_core.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/task.hpp"

namespace uring6::test {

/// The limit ends a test that hangs; it measures nothing.
inline constexpr std::chrono::seconds patience{60};

/// A task that runs in `loop` beside the others, from the loop's next round until it ends or this object is destroyed:
/// then its frame is destroyed wherever it waits. Only its own stop reaches it.
class beside {
 public:
  beside(event_loop& loop, task<> body)
      : loop_(*loop.core()), root_(stop_.get_token()), whole_(follow(std::move(body), *this)) {
    whole_.handle().promise().inherit_stop(root_);
    start_.handle = whole_.handle();
    loop_.make_ready(start_);
  }
  /// `body()` returns the task; the closure is kept as long as the task.
  template <std::invocable F>
  beside(event_loop& loop, F body) : beside(loop, call(std::move(body))) {}
  beside(const beside&) = delete;
  beside& operator=(const beside&) = delete;

  [[nodiscard]] bool ended() const noexcept { return ended_; }
  void request_stop() { stop_.request_stop(); }
  uring6::stop_source& stop_source() noexcept { return stop_; }

  /// Waits for the end, at most this long; true if it has come. Rethrows the task's exception.
  auto ends_within(std::chrono::nanoseconds limit) { return ending(*this, limit); }
  auto join() { return ends_within(patience * 2); }

 private:
  class ending : detail::timer_node, detail::ready_node {
   public:
    ending(beside& whom, std::chrono::nanoseconds limit) : whom_(whom), limit_(limit) {}
    ~ending() { whom_.joiner_ = nullptr; }

    bool await_ready() const noexcept { return whom_.ended_; }
    void await_suspend(std::coroutine_handle<> waiting, const environment&) {
      handle = waiting;
      whom_.joiner_ = this;
      arm(whom_.loop_, std::chrono::steady_clock::now() + limit_);
    }
    bool await_resume() const {
      if (whom_.error_) std::rethrow_exception(whom_.error_);
      return whom_.ended_;
    }

   private:
    friend class beside;
    void expired() noexcept override {
      if (!linked()) whom_.loop_.make_ready(*this);
    }

    beside& whom_;
    std::chrono::nanoseconds limit_;
  };

  template <class F>
  static task<> call(F body) {
    co_await body();
  }

  static task<> follow(task<> body, beside& self) {
    try {
      co_await std::move(body);
    } catch (...) {
      self.error_ = std::current_exception();
    }
    self.ended_ = true;
    if (self.joiner_) self.joiner_->expired();
  }

  detail::loop_core& loop_;
  uring6::stop_source stop_;
  detail::stop_root root_;
  detail::ready_node start_;
  ending* joiner_ = nullptr;
  std::exception_ptr error_;
  bool ended_ = false;
  task<> whole_;  // the last member: it is destroyed first
};

namespace coroutine_detail {

task<> inline watched(event_loop& loop, task<> main) {
  beside whole(loop, std::move(main));
  const bool ended = co_await whole.ends_within(patience);
  if (!ended) throw std::runtime_error("the test hangs");
}

/// For a loop that does not even handle its timers: SIGALRM ends the program.
struct last_resort {
  last_resort() { ::alarm(static_cast<unsigned>(2 * patience.count())); }
  last_resort(const last_resort&) = delete;
  last_resort& operator=(const last_resort&) = delete;
  ~last_resort() { ::alarm(0); }
};

}  // namespace coroutine_detail

/// Runs `main()`, which returns a task<>, to its end. A task that hangs is destroyed, and the test fails.
template <std::invocable F>
void run(event_loop& loop, F&& main) {
  const coroutine_detail::last_resort guard;
  loop.run(coroutine_detail::watched(loop, main()));
}

/// Lets every other coroutine that is ready run first.
inline auto yield() {
  struct turn : detail::ready_node {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting, const environment&) {
      handle = waiting;
      detail::current_loop()->make_ready(*this);
    }
    void await_resume() const noexcept {}
  };
  return turn();
}

/// Whether `operation`, which was awaited, refuses a second await, as a task does.
template <class Operation>
task<bool> refuses_a_second_await(Operation& operation) {
  try {
    (void)co_await operation;
  } catch (const std::logic_error&) {
    co_return true;
  }
  co_return false;
}

/// Gives other coroutines their turns until `condition()` holds; each turn enters the kernel, so that completions
/// arrive.
template <std::predicate Condition>
task<> until(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error("waited in vain");
    co_await yield();
  }
}

}  // namespace uring6::test
