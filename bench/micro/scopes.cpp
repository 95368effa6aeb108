// A scope of many tasks: started, asleep, stopped and joined. A hundred thousand must take less than a second.
#include <catch2/benchmark/catch_benchmark.hpp>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstddef>
#include <string>

#include "uring6/event_loop.hpp"
#include "uring6/scope.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;

task<> sleep_until_stopped(std::size_t& asleep) {
  ++asleep;
  (void)co_await sleep_for(std::chrono::hours(1));
}

task<> start_and_stop(std::size_t count) {
  std::size_t asleep = 0;
  scope all;
  for (std::size_t i = 0; i < count; ++i) all.spawn(sleep_until_stopped(asleep));
  while (asleep < count) co_await sleep_for(std::chrono::nanoseconds(0));
  all.request_stop();
  co_await all.join();
}

TEST_CASE("scopes: many sleepers started and stopped") {
  event_loop loop;
  for (const std::size_t count : {1'000U, 100'000U}) {
    BENCHMARK(std::to_string(count) + " sleepers") {
      loop.run(start_and_stop(count));
    };
  }
}

}  // namespace
