#include "uring6/event_loop.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/descriptors.hpp"
#include "uring6/event.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

task<int> answer() {
  co_return 42;
}

TEST_CASE("run returns the value of its task") {
  event_loop loop;
  CHECK(loop.run(answer()) == 42);
  CHECK(loop.run(answer()) == 42);
}

TEST_CASE("run takes a value that can only be moved") {
  event_loop loop;
  const auto make = []() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(7); };
  CHECK(*loop.run(make()) == 7);
}

TEST_CASE("run rethrows the exception of its task, and the loop stays usable") {
  event_loop loop;
  const auto thrower = []() -> task<int> {
    co_await yield();
    throw std::runtime_error("out of the task");
    co_return 0;
  };
  CHECK_THROWS_WITH(loop.run(thrower()), "out of the task");
  CHECK(loop.run(answer()) == 42);
}

TEST_CASE("a task that is awaited twice or was moved from throws") {
  event_loop loop;
  const auto twice = []() -> task<> {
    auto once = answer();
    co_await std::move(once);
    co_await std::move(once);
  };
  CHECK_THROWS_AS(loop.run(twice()), std::logic_error);
}

// gcc -O0 makes no tail calls: symmetric transfer alone would end in a stack overflow here.
TEST_CASE("a million tasks that end at once take no stack") {
  event_loop loop;
  const auto sum = []() -> task<long> {
    long total = 0;
    for (int i = 0; i < 1'000'000; ++i) total += co_await answer();
    co_return total;
  };
  CHECK(loop.run(sum()) == 42'000'000);
}

TEST_CASE("a coroutine that never waits starves neither a timer nor another coroutine") {
  event_loop loop(loop_options{.budget = 4});
  run(loop, [&]() -> task<> {
    bool stopped = false;
    beside greedy(loop, [&]() -> task<> {
      while (!stopped) co_await yield();
    });
    beside other(loop, [&]() -> task<> {
      for (int i = 0; i < 1000; ++i) co_await yield();
    });
    co_await other.join();
    co_await sleep_for(1ms);
    stopped = true;
    co_await greedy.join();
  });
}

TEST_CASE("if one round has more coroutines than the budget, all of them resume, in order") {
  event_loop loop(loop_options{.budget = 3});
  run(loop, [&]() -> task<> {
    std::vector<int> order;
    std::vector<std::unique_ptr<beside>> all;
    for (int i = 0; i < 10; ++i) {
      all.push_back(std::make_unique<beside>(loop, [&, i]() -> task<> {
        order.push_back(i);
        co_await yield();
        order.push_back(10 + i);
      }));
    }
    for (auto& each : all) co_await each->join();
    std::vector<int> expected;
    for (int i = 0; i < 20; ++i) expected.push_back(i);
    CHECK(order == expected);
  });
}

TEST_CASE("options out of range are refused with a message") {
  for (const loop_options& bad :
       {loop_options{.submission_entries = 0}, loop_options{.submission_entries = 100'000},
        loop_options{.completion_entries = 0}, loop_options{.completion_entries = 1'000'000},
        loop_options{.receive_buffers = 0}, loop_options{.receive_buffers = 3}, loop_options{.receive_buffers = 65'536},
        loop_options{.budget = 0}, loop_options{.spin = -1us}, loop_options{.spin = 11s},
        loop_options{.min_wait = -1us}, loop_options{.min_wait = 1'000'001us}, loop_options{.busy_poll = -1us},
        loop_options{.busy_poll = 2s}}) {
    const auto made = event_loop::create(bad);
    REQUIRE_FALSE(made);
    CHECK(made.error() == errc::out_of_range);
    CHECK_THROWS_AS(event_loop(bad), std::system_error);
  }
}

TEST_CASE("a completion queue smaller than the submission queue is enlarged, not refused") {
  event_loop loop(loop_options{.submission_entries = 64, .completion_entries = 2});
  CHECK(loop.run(answer()) == 42);
}

TEST_CASE("a loop leaves no descriptor behind, run or not") {
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 20; ++i) {
    event_loop loop;
    if (i % 2 == 0) loop.run(answer());
  }
  CHECK(open_descriptors() == before);
}

// --- stopping ---

TEST_CASE("stop before run ends the first wait") {
  event_loop loop;
  loop.request_stop();
  const auto sleeper = []() -> task<result<void>> { co_return co_await sleep_for(1h); };
  const result<void> slept = loop.run(sleeper());
  REQUIRE_FALSE(slept);
  CHECK(slept.error() == errc::canceled);
}

TEST_CASE("a stop from another thread ends a wait, and every caller sees it [threads]", "[threads]") {
  for (int round = 0; round < 200; ++round) {
    event_loop loop;
    const auto inner = []() -> task<result<void>> { co_return co_await sleep_for(1h); };
    const auto outer = [&]() -> task<result<void>> { co_return co_await inner(); };
    std::thread stopper([&] { loop.request_stop(); });
    const result<void> slept = loop.run(outer());
    stopper.join();
    REQUIRE_FALSE(slept);
    REQUIRE(slept.error() == errc::canceled);
  }
}

// --- min_wait ---

TEST_CASE("a loop that lets completions gather sleeps through an idle time, and its timers are on time") {
  event_loop loop(loop_options{.min_wait = 1ms});
  run(loop, [&]() -> task<> {
    const auto enters = loop.stats().enters;
    const auto end = std::chrono::steady_clock::now() + 200ms;
    const auto slept = co_await sleep_until(end);
    REQUIRE(slept);
    CHECK(loop.stats().enters - enters < 20);  // an enter for each time to gather would be more
    CHECK(std::chrono::steady_clock::now() >= end);
  });
}

TEST_CASE("posts reach a loop that lets completions gather", "[threads]") {
  event_loop loop(loop_options{.min_wait = 5ms});
  int posted = 0;
  std::thread poster;
  run(loop, [&]() -> task<> {
    for (int i = 1; i <= 10; ++i) {
      event reached;
      poster = std::thread([&] {
        loop.post([&] {
          ++posted;
          reached.set();
        });
      });
      const auto woken = co_await reached.wait();
      REQUIRE(woken);
      poster.join();
      REQUIRE(posted == i);
    }
  });
}

TEST_CASE("a loop runs on a kernel that cannot busy-poll devices") {
  event_loop loop(loop_options{.busy_poll = 50us});
  CHECK(loop.run(answer()) == 42);
  const detail::ring_features& features = loop.core()->ring().features();
  // busy_poll is on, or its refusal has a reason that probe() reports.
  CHECK(features.busy_poll != (features.refused.size() == 1));
  event_loop plain;
  CHECK(plain.run(answer()) == 42);
  CHECK_FALSE(plain.core()->ring().features().busy_poll);
}

// --- sleeping ---

TEST_CASE("sleepers wake in the order of their deadlines, never early") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    std::vector<int> order;
    std::vector<std::unique_ptr<beside>> all;
    const auto start = std::chrono::steady_clock::now();
    for (const int ms : {5, 1, 3, 2, 4}) {
      all.push_back(std::make_unique<beside>(loop, [&, ms]() -> task<> {
        const auto end = start + std::chrono::milliseconds(ms * 4);
        co_await sleep_until(end);
        CHECK(std::chrono::steady_clock::now() >= end);
        order.push_back(ms);
      }));
    }
    for (auto& each : all) co_await each->join();
    CHECK(order == std::vector{1, 2, 3, 4, 5});
  });
}

TEST_CASE("a sleep into the past lets other coroutines run and ends") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    bool ran = false;
    beside other(loop, [&]() -> task<> {
      ran = true;
      co_return;
    });
    const auto slept = co_await sleep_for(-1h);
    CHECK(slept);
    CHECK(ran);
  });
}

TEST_CASE("a sleep may have any length") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    const auto asleep = [&](auto duration) -> task<> {
      const auto slept = co_await sleep_for(duration);
      CHECK_FALSE(slept);
    };
    for (int kind = 0; kind < 4; ++kind) {
      beside sleeper(loop, [&]() -> task<> {
        if (kind == 0) co_await asleep(std::chrono::hours::max());
        if (kind == 1) co_await asleep(std::chrono::nanoseconds::max());
        if (kind == 2) co_await asleep(std::chrono::duration<double>(1e300));
        if (kind == 3) co_await asleep(std::chrono::years(1000));
      });
      co_await yield();
      co_await sleep_for(1ms);
      CHECK_FALSE(sleeper.ended());
      sleeper.request_stop();
      co_await sleeper.join();
    }
    const auto least = co_await sleep_for(std::chrono::hours::min());
    CHECK(least);
  });
}

TEST_CASE("a sleep outside of a loop is an error") {
  auto sleeper = []() -> task<result<void>> { co_return co_await sleep_for(1ms); };
  auto alone = sleeper();
  alone.handle().resume();
  REQUIRE(alone.done());
  CHECK(alone.handle().promise().take().error() == errc::wrong_thread);
}

TEST_CASE("a sleeper's frame can be destroyed while it sleeps, in the loop and after it") {
  auto loop = std::make_unique<event_loop>();
  std::unique_ptr<beside> survivor;
  run(*loop, [&]() -> task<> {
    auto sleeper = std::make_unique<beside>(*loop, [&]() -> task<> { co_await sleep_for(1h); });
    survivor = std::make_unique<beside>(*loop, [&]() -> task<> { co_await sleep_for(1h); });
    co_await yield();
    sleeper.reset();
  });
  loop.reset();
  survivor->request_stop();
  survivor.reset();
  SUCCEED("no sanitizer complains");
}

TEST_CASE("a stop that races with the end of a sleep ends it once", "[threads]") {
  event_loop loop;
  int ended = 0;
  int canceled = 0;
  run(loop, [&]() -> task<> {
    for (int i = 0; i < 2'000; ++i) {
      beside sleeper(loop, [&]() -> task<> {
        const auto slept = co_await sleep_for(std::chrono::microseconds(i % 60));
        ++ended;
        if (!slept) ++canceled;
      });
      co_await yield();
      std::thread stopper;
      if (i % 2 == 0) {
        stopper = std::thread([&] { sleeper.request_stop(); });
      } else {
        sleeper.request_stop();
      }
      co_await sleeper.join();
      if (stopper.joinable()) stopper.join();
    }
  });
  CHECK(ended == 2'000);
  CHECK(canceled > 0);
}

}  // namespace
