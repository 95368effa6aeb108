// A loop that runs on a thread of its own.
#pragma once

#include <concepts>
#include <future>
#include <thread>
#include <type_traits>

#include "uring6/event.hpp"
#include "uring6/event_loop.hpp"

namespace uring6::test {

/// Runs until its destruction.
class remote_loop {
 public:
  remote_loop() : thread_([this] { loop.run(until_finished()); }) {}
  remote_loop(const remote_loop&) = delete;
  remote_loop& operator=(const remote_loop&) = delete;
  ~remote_loop() {
    finished_.set();
    thread_.join();
  }

  /// Returns the result of `f()`, called on the loop's thread; rethrows its exception.
  template <std::invocable F>
  auto call(F f) {
    using value = std::invoke_result_t<F&>;
    std::packaged_task<value()> work(std::move(f));
    auto done = work.get_future();
    loop.post([&work] { work(); });
    return done.get();
  }

  std::thread::id thread() const { return thread_.get_id(); }

  event_loop loop;

 private:
  task<> until_finished() { (void)co_await finished_.wait(); }

  event finished_;
  std::thread thread_;
};

}  // namespace uring6::test
