#include "uring6/timer.hpp"

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <limits>
#include <stdexcept>
#include <vector>

#include "uring6/event_loop.hpp"
#include "uring6/scope.hpp"
#include "uring6/task.hpp"

using namespace std::chrono_literals;

namespace uring6 {
namespace {

task<> sleep_and_note(std::chrono::microseconds duration, std::vector<int>& order, int number) {
  const auto slept = co_await sleep_for(duration);
  CHECK(slept.has_value());
  order.push_back(number);
}

task<> sleep_until_stopped(int& stopped, std::chrono::steady_clock::time_point until) {
  const auto slept = co_await sleep_until(until);
  if (!slept) ++stopped;
}

}  // namespace

TEST_CASE("sleep_for: sleeps at least the given time, and sleepers wake in the order of the deadlines") {
  event_loop loop;
  std::vector<int> order;
  const auto start = std::chrono::steady_clock::now();
  auto body = [&]() -> task<> {
    scope sleepers;
    // Each begins to sleep a moment after the one before: on a slow machine, too, less than the steps are long.
    sleepers.spawn(sleep_and_note(300ms, order, 3));
    sleepers.spawn(sleep_and_note(100ms, order, 1));
    sleepers.spawn(sleep_and_note(200ms, order, 2));
    co_await sleepers.join();
  };
  loop.run(body());
  CHECK(order == std::vector{1, 2, 3});
  CHECK(std::chrono::steady_clock::now() - start >= 300ms);
}

TEST_CASE("sleep_until: a time that has passed lets other coroutines run first") {
  event_loop loop;
  std::vector<int> order;
  auto other = [&]() -> task<> {
    order.push_back(1);
    co_return;
  };
  auto body = [&]() -> task<> {
    scope others;
    others.spawn(other());
    const auto slept = co_await sleep_until(std::chrono::steady_clock::time_point::min());
    CHECK(slept.has_value());
    order.push_back(2);
    co_await others.join();
  };
  loop.run(body());
  CHECK(order == std::vector{1, 2});
}

TEST_CASE("sleep_for: a time longer than the clock can represent is for ever, until a stop") {
  event_loop loop;
  auto body = [&]() -> task<> {
    auto stop_later = [&]() -> task<> {
      co_await sleep_for(1ms);
      loop.request_stop();
    };
    scope others;
    others.spawn(stop_later());
    const auto slept = co_await sleep_for(std::chrono::hours::max());
    REQUIRE_FALSE(slept.has_value());
    CHECK(slept.error() == errc::canceled);
    const auto again = co_await sleep_for(1h);
    REQUIRE_FALSE(again.has_value());
    CHECK(again.error() == errc::canceled);
    co_await others.join();
  };
  loop.run(body());
}

TEST_CASE("sleep_for: a negative time is now") {
  event_loop loop;
  auto body = []() -> task<> {
    const auto slept = co_await sleep_for(std::chrono::hours::min());
    CHECK(slept.has_value());
    const auto no_number = co_await sleep_for(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN()));
    CHECK(no_number.has_value());
    const auto before_time = co_await sleep_until(std::chrono::steady_clock::time_point::min());
    CHECK(before_time.has_value());
  };
  loop.run(body());
}

TEST_CASE("sleep_for: outside of a loop it is an error") {
  result<void> slept;
  auto body = [&]() -> task<> { slept = co_await sleep_for(1ms); };
  const task<> alone = body();
  alone.handle().resume();
  REQUIRE(alone.done());
  CHECK(slept.error() == errc::wrong_thread);
}

TEST_CASE("sleep_until: a million sleepers, stopped together") {
  constexpr int count = 1'000'000;
  event_loop loop;
  int stopped = 0;
  auto body = [&]() -> task<> {
    scope sleepers;
    const auto later = std::chrono::steady_clock::now() + 1h;
    // Unordered deadlines, so that the heap has work.
    for (int i = 0; i < count; ++i) {
      sleepers.spawn(sleep_until_stopped(stopped, later + std::chrono::microseconds((i * 7919LL) % count)));
    }
    co_await sleep_for(1ms);
    sleepers.request_stop();
    co_await sleepers.join();
  };
  loop.run(body());
  CHECK(stopped == count);
}

}  // namespace uring6
