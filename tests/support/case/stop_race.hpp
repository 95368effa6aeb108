// Stops of another thread that come about when an operation begins.
#pragma once

#include <atomic>
#include <concepts>
#include <stop_token>
#include <thread>
#include <utility>

#include "uring6/scope.hpp"
#include "uring6/task.hpp"

namespace uring6::test {

/// Runs `operation()`, which returns a task<>, `rounds` times as the child of a scope that another thread stops at that
/// moment, a little earlier or later each time. An operation that misses the stop hangs, and `run` ends the test.
template <std::invocable Operation>
task<> stop_about_its_beginning(int rounds, Operation operation) {
  std::atomic<scope*> begun = nullptr;  // set until the scope was stopped
  const std::jthread stopper([&begun](const std::stop_token& end) {
    for (unsigned looks = 1; !end.stop_requested(); ++looks) {
      if (scope* const target = begun) {
        target->request_stop();
        begun = nullptr;
      } else if (looks % 4096 == 0) {
        std::this_thread::yield();
      }
    }
  });
  const auto child = [&](scope& all, int delay) -> task<> {
    begun = &all;
    for (std::atomic<int> spin = 0; spin < delay; ++spin) {
    }
    co_await operation();
  };
  for (int round = 0; round < rounds; ++round) {
    scope all;
    all.spawn(child(all, round % 500));
    co_await all.join();
    while (begun) std::this_thread::yield();
  }
}

}  // namespace uring6::test
