#include "uring6/when_all.hpp"

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/case/counted.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/timer.hpp"

using namespace std::chrono_literals;
using uring6::test::counted;

namespace uring6 {
namespace {

task<int> value_after(std::chrono::milliseconds duration, int value) {
  const counted here;
  [[maybe_unused]] const auto slept = co_await sleep_for(duration);
  co_return value;
}

task<int> value_at_once(int value) {
  co_return value;
}

task<int> fail_after(std::chrono::milliseconds duration) {
  const counted here;
  [[maybe_unused]] const auto slept = co_await sleep_for(duration);
  throw std::runtime_error("after " + std::to_string(duration.count()) + " ms");
}

task<int> fail_at_once() {
  throw std::runtime_error("at once");
  co_return 0;
}

task<bool> stopped_in_sleep() {
  const auto slept = co_await sleep_for(1h);
  co_return !slept && slept.error() == errc::canceled;
}

}  // namespace

TEST_CASE("when_all: returns all values in the order of the arguments") {
  event_loop loop;
  auto body = []() -> task<> {
    auto all = co_await when_all(value_after(3ms, 1), value_at_once(2), value_after(1ms, 3));
    CHECK(all == std::tuple(1, 2, 3));
  };
  loop.run(body());
  CHECK(counted::alive == 0);
}

TEST_CASE("when_all: takes operations, and tasks beside them") {
  event_loop loop;
  auto nothing = []() -> task<> { co_return; };
  auto body = [&]() -> task<> {
    auto all = co_await when_all(sleep_for(1ms), nothing(), value_at_once(7), sleep_for(2ms));
    CHECK(std::get<0>(all).has_value());
    CHECK(std::get<1>(all) == std::monostate());
    CHECK(std::get<2>(all) == 7);
    CHECK(std::get<3>(all).has_value());
  };
  loop.run(body());
}

TEST_CASE("when_all: without arguments ends at once") {
  event_loop loop;
  auto body = []() -> task<> {
    [[maybe_unused]] const auto none = co_await when_all();
    std::vector<task<int>> empty;
    const auto values = co_await when_all(std::move(empty));
    CHECK(values.empty());
  };
  loop.run(body());
}

TEST_CASE("when_all: moves values that can only be moved, and destroys each once") {
  event_loop loop;
  auto make = [](int value) -> task<std::unique_ptr<int>> {
    [[maybe_unused]] const auto slept = co_await sleep_for(1ms);
    co_return std::make_unique<int>(value);
  };
  auto long_text = []() -> task<std::string> { co_return std::string(100, 'x'); };
  auto body = [&]() -> task<> {
    auto all = co_await when_all(make(1), long_text(), make(2));
    CHECK(*std::get<0>(all) == 1);
    CHECK(std::get<1>(all).size() == 100);
    CHECK(*std::get<2>(all) == 2);
  };
  loop.run(body());
}

TEST_CASE("when_all: the first exception stops the others and is rethrown when all have ended") {
  event_loop loop;
  std::string caught;
  auto body = [&]() -> task<> {
    try {
      co_await when_all(value_after(1h, 1), fail_after(500ms), fail_after(1ms), stopped_in_sleep());
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    CHECK(counted::alive == 0);
  };
  loop.run(body());
  CHECK(caught == "after 1 ms");
}

TEST_CASE("when_all: an exception before the first suspension is rethrown, too") {
  event_loop loop;
  std::string caught;
  auto body = [&]() -> task<> {
    try {
      co_await when_all(value_after(1h, 1), fail_at_once());
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    try {
      co_await when_all(fail_at_once(), value_at_once(1));
    } catch (const std::runtime_error& error) {
      caught += ", " + std::string(error.what());
    }
  };
  loop.run(body());
  CHECK(caught == "at once, at once");
}

TEST_CASE("when_all: a stop reaches all") {
  event_loop loop;
  auto body = [&]() -> task<> {
    loop.post([&] { loop.request_stop(); });
    const auto all = co_await when_all(stopped_in_sleep(), stopped_in_sleep(), sleep_for(1h));
    CHECK(std::get<0>(all));
    CHECK(std::get<1>(all));
    CHECK(std::get<2>(all).error() == errc::canceled);
  };
  loop.run(body());
}

TEST_CASE("when_all: a stop before the start reaches all") {
  event_loop loop;
  loop.request_stop();
  auto body = [&]() -> task<> {
    const auto all = co_await when_all(stopped_in_sleep(), sleep_for(1h));
    CHECK(std::get<0>(all));
    CHECK(std::get<1>(all).error() == errc::canceled);
  };
  loop.run(body());
}

TEST_CASE("when_all: nests") {
  event_loop loop;
  auto body = []() -> task<> {
    auto all = co_await when_all(when_all(value_after(1ms, 1), sleep_for(2ms)), when_all(value_at_once(2)));
    CHECK(std::get<0>(std::get<0>(all)) == 1);
    CHECK(std::get<0>(std::get<1>(all)) == 2);
  };
  loop.run(body());
}

TEST_CASE("when_all: takes any number of tasks") {
  event_loop loop;
  auto nothing = [](int& count) -> task<> {
    [[maybe_unused]] const auto slept = co_await sleep_for(1ms);
    ++count;
  };
  auto body = [&]() -> task<> {
    std::vector<task<int>> tasks;
    for (int i = 0; i < 1000; ++i) tasks.push_back(value_after(std::chrono::milliseconds(i % 3), i));
    const auto values = co_await when_all(std::move(tasks));
    REQUIRE(values.size() == 1000);
    for (int i = 0; i < 1000; ++i) CHECK(values[static_cast<std::size_t>(i)] == i);

    int count = 0;
    std::vector<task<>> more;
    for (int i = 0; i < 10; ++i) more.push_back(nothing(count));
    co_await when_all(std::move(more));
    CHECK(count == 10);
  };
  loop.run(body());
  CHECK(counted::alive == 0);
}

TEST_CASE("when_all: outside of a loop it throws") {
  auto body = []() -> task<> { co_await when_all(sleep_for(1ms)); };
  task<> alone = body();
  alone.handle().resume();
  REQUIRE(alone.done());
  CHECK_THROWS_AS(alone.handle().promise().take(), std::logic_error);
}

}  // namespace uring6
