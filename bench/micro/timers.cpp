// Setting and canceling a timer among few and among a million: the time may grow with the logarithm at most.
#include <catch2/benchmark/catch_benchmark.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cstddef>
#include <memory>
#include <random>
#include <string>

#include "runtime/loop/loop_core.hpp"
#include "uring6/event_loop.hpp"

namespace {

using namespace uring6;

struct silent_timer final : detail::timer_node {
  void expired() noexcept override {}
};

TEST_CASE("timers: one set and canceled among many") {
  event_loop loop;
  std::minstd_rand random(6);
  const auto some_time = [&] { return detail::clock::time_point::max() - std::chrono::nanoseconds(random()); };
  for (const std::size_t others : {10U, 1'000U, 100'000U, 1'000'000U}) {
    const auto timers = std::make_unique<silent_timer[]>(others);
    for (std::size_t i = 0; i < others; ++i) timers[i].arm(*loop.core(), some_time());
    silent_timer one;
    BENCHMARK("among " + std::to_string(others)) {
      one.arm(*loop.core(), some_time());
      one.disarm();
    };
    std::size_t at = 0;
    BENCHMARK("one of " + std::to_string(others) + " put off") {
      at = (at + 7919) % others;
      timers[at].arm(*loop.core(), some_time());
    };
  }
}

}  // namespace
