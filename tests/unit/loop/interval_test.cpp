#include "uring6/interval.hpp"

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <limits>
#include <thread>

#include "uring6/event_loop.hpp"
#include "uring6/task.hpp"
#include "uring6/with_timeout.hpp"

using namespace std::chrono_literals;

namespace uring6 {

TEST_CASE("interval: a tick is due one period after the one before, however late that one was awaited") {
  event_loop loop;
  auto body = []() -> task<> {
    const auto start = std::chrono::steady_clock::now();
    interval every(1ms, start + 1ms);
    std::uint64_t seen = 0;
    for (int i = 0; i < 20; ++i) {
      const auto missed = co_await every.tick();
      REQUIRE(missed.has_value());
      seen += 1 + *missed;
      CHECK(every.next() == start + (seen + 1) * 1ms);
      CHECK(std::chrono::steady_clock::now() >= start + seen * 1ms);
      std::this_thread::sleep_for(300us);
    }
  };
  loop.run(body());
}

TEST_CASE("interval: returns how many ticks were missed, and goes on with the next") {
  event_loop loop;
  auto body = []() -> task<> {
    const auto now = std::chrono::steady_clock::now();
    interval every(1h, now - 150min);  // ticks were due 2.5, 1.5 and 0.5 hours ago
    const auto missed = co_await every.tick();
    CHECK(missed == 2);
    CHECK(every.next() == now + 30min);
  };
  loop.run(body());
}

TEST_CASE("interval: a start before the first representable time counts as now") {
  event_loop loop;
  auto body = []() -> task<> {
    interval every(1h, std::chrono::steady_clock::time_point::min());
    const auto missed = co_await every.tick();
    REQUIRE(missed.has_value());
    CHECK(*missed > 1'000'000u);
    CHECK(every.next() > std::chrono::steady_clock::now());
    CHECK(every.next() < std::chrono::steady_clock::now() + 2h);
  };
  loop.run(body());
}

TEST_CASE("interval: a period of 0 is an error, not a busy loop") {
  event_loop loop;
  auto body = []() -> task<> {
    for (const auto period : {0s, -1s}) {
      interval every(period);
      const auto missed = co_await every.tick();
      REQUIRE_FALSE(missed.has_value());
      CHECK(missed.error() == errc::out_of_range);
    }
  };
  loop.run(body());
}

TEST_CASE("interval: a stop ends the wait and takes no tick") {
  event_loop loop;
  loop.request_stop();
  auto body = []() -> task<> {
    interval every(1h);
    const auto next = every.next();
    const auto missed = co_await every.tick();
    REQUIRE_FALSE(missed.has_value());
    CHECK(missed.error() == errc::canceled);
    CHECK(every.next() == next);
  };
  loop.run(body());
}

TEST_CASE("interval: with a period longer than the clock can represent the second tick never comes") {
  event_loop loop;
  auto body = []() -> task<> {
    const auto now = std::chrono::steady_clock::now();
    interval every(std::chrono::steady_clock::duration::max(), now);
    const auto missed = co_await every.tick();
    CHECK(missed == 0);
    CHECK(every.next() == std::chrono::steady_clock::time_point::max());
  };
  loop.run(body());
}

TEST_CASE("interval: a period that is longer than the clock can represent, in any unit, is no error and never ticks") {
  event_loop loop;
  auto body = []() -> task<> {
    interval hours(std::chrono::hours::max());
    interval milliseconds(std::chrono::milliseconds::max());
    interval endless(std::chrono::duration<double>{std::numeric_limits<double>::infinity()});
    constexpr auto end_of_time = std::chrono::steady_clock::time_point::max();
    interval later(std::chrono::hours::max(), end_of_time);
    for (interval* const every : {&hours, &milliseconds, &endless, &later}) {
      CHECK(every->next() == end_of_time);
      const auto missed = co_await with_timeout(1ms, every->tick());
      REQUIRE_FALSE(missed.has_value());
      CHECK(missed.error() == errc::deadline_exceeded);
    }
    interval none(std::chrono::hours::min());
    const auto refused = co_await none.tick();
    CHECK(refused.error() == errc::out_of_range);
    interval nothing(std::chrono::duration<double>{std::numeric_limits<double>::quiet_NaN()});
    const auto no_number = co_await nothing.tick();
    CHECK(no_number.error() == errc::out_of_range);
  };
  loop.run(body());
}

}  // namespace uring6
