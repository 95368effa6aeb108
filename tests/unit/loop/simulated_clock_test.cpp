// A loop with a simulated clock: its timers keep their order and their times, and cost no time.
#include "uring6/loop_clock.hpp"

#include <poll.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/process/pipe.hpp"
#include "uring6/descriptor.hpp"
#include "uring6/event.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/interval.hpp"
#include "uring6/run_blocking.hpp"
#include "uring6/scope.hpp"
#include "uring6/this_task.hpp"
#include "uring6/timer.hpp"
#include "uring6/with_timeout.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

const loop_options simulated{.clock = loop_clock::simulated};
constexpr auto year = 365 * 24h;

/// Runs `main()` in the loop. A loop that hangs is ended by SIGALRM.
template <class F>
void play(event_loop& loop, F main) {
  const coroutine_detail::last_resort guard;
  loop.run(main());
}

TEST_CASE("simulated clock: a sleep of a year ends exactly a year later, and takes no time") {
  event_loop loop(simulated);
  const auto begin = loop.now();
  const auto really = steady_clock::now();
  play(loop, [&]() -> task<> {
    const auto slept = co_await sleep_for(year);
    CHECK(slept);
    CHECK(this_task::now() == begin + year);
    const auto until = co_await sleep_until(begin + 2 * year);
    CHECK(until);
  });
  CHECK(loop.now() == begin + 2 * year);
  CHECK(steady_clock::now() - really < year);
}

TEST_CASE("simulated clock: begins at the time at which the loop was made, and stands still while a task runs") {
  const auto before = steady_clock::now();
  event_loop loop(simulated);
  const auto begin = loop.now();
  CHECK(begin >= before);
  CHECK(begin <= steady_clock::now());
  play(loop, [&]() -> task<> {
    const auto later = steady_clock::now() + 2ms;
    while (steady_clock::now() < later) co_await this_task::yield();
    CHECK(this_task::now() == begin);
  });
  CHECK(loop.now() == begin);
}

TEST_CASE("simulated clock: tasks wake in the order of their deadlines, with equal ones in the order of their sleeps") {
  event_loop loop(simulated);
  std::vector<int> woken;
  play(loop, [&]() -> task<> {
    scope sleepers;
    const auto sleeper = [&](int number, std::chrono::hours length) -> task<> {
      co_await sleep_for(length);
      woken.push_back(number);
    };
    for (int i = 0; i < 40; ++i) sleepers.spawn(sleeper(i, i % 2 == 0 ? 48h : 24h));
    co_await sleepers.join();
  });
  std::vector<int> expected;
  for (int i = 1; i < 40; i += 2) expected.push_back(i);
  for (int i = 0; i < 40; i += 2) expected.push_back(i);
  CHECK(woken == expected);
}

TEST_CASE("simulated clock: a timeout of an hour passes, and a shorter sleep within it does not") {
  event_loop loop(simulated);
  const auto begin = loop.now();
  play(loop, [&]() -> task<> {
    event never;
    const auto waited = co_await with_timeout(1h, never.wait());
    REQUIRE_FALSE(waited);
    CHECK(waited.error() == errc::deadline_exceeded);
    CHECK(this_task::now() == begin + 1h);
    const auto slept = co_await with_timeout(1h, sleep_for(59min));
    CHECK(slept);
    CHECK(this_task::now() == begin + 1h + 59min);
  });
}

TEST_CASE("simulated clock: an interval ticks every second of a day and misses none") {
  event_loop loop(simulated);
  const auto begin = loop.now();
  play(loop, [&]() -> task<> {
    interval every(1s);
    for (int second = 0; second < 86'400; ++second) {
      const auto missed = co_await every.tick();
      REQUIRE(missed);
      REQUIRE(*missed == 0);
    }
  });
  CHECK(loop.now() >= begin + 24h);
  CHECK(loop.now() < begin + 24h + 1s);  // the interval counts from the time at which it was made
}

TEST_CASE("simulated clock: data that is ready comes before every timer") {
  event_loop loop(simulated);
  const auto begin = loop.now();
  play(loop, [&]() -> task<> {
    const pipe_ends pipe = make_pipe();
    const auto empty = co_await with_timeout(1h, fd::poll(pipe.read.get(), poll_events::readable));
    CHECK_FALSE(empty);
    CHECK(this_task::now() == begin + 1h);
    require(::write(pipe.write.get(), "x", 1) == 1, "write");
    const auto ready = co_await with_timeout(1ns, fd::poll(pipe.read.get(), poll_events::readable));
    CHECK(ready);
    CHECK(this_task::now() == begin + 1h);
  });
}

TEST_CASE("simulated clock: stands still while a task waits for a blocking call, and goes on after it", "[threads]") {
  event_loop loop(simulated);
  const auto begin = loop.now();
  play(loop, [&]() -> task<> {
    const auto call = [] {
      std::this_thread::sleep_for(5ms);
      return 7;
    };
    const auto called = co_await with_timeout(1ms, run_blocking(call));
    REQUIRE(called);
    CHECK(*called == 7);
    CHECK(this_task::now() == begin);
    co_await sleep_for(1h);
    CHECK(this_task::now() == begin + 1h);
  });
}

TEST_CASE("simulated clock: goes on when a blocking call was stopped, or its waiting task destroyed", "[threads]") {
  event_loop loop(simulated);
  const auto begin = loop.now();
  std::promise<void> end;
  const std::shared_future<void> ended = end.get_future().share();
  play(loop, [&]() -> task<> {
    const auto waits = [ended] { ended.wait(); };
    const auto body = [&]() -> task<> { (void)co_await run_blocking(waits); };
    beside stopped(loop, body);
    auto destroyed = std::make_unique<beside>(loop, body);
    co_await this_task::yield();
    stopped.request_stop();
    destroyed.reset();
    while (!stopped.ended()) co_await this_task::yield();
    co_await sleep_for(1h);
    CHECK(this_task::now() == begin + 1h);
  });
  end.set_value();
}

TEST_CASE("simulated clock: never goes to the end of time, and without another timer the loop really sleeps",
          "[threads]") {
  event_loop loop(simulated);
  const auto begin = loop.now();
  event woken;
  std::thread other;
  play(loop, [&]() -> task<> {
    beside sleeper(loop, []() -> task<> { co_await sleep_until(steady_clock::time_point::max()); });
    co_await sleep_for(1h);
    CHECK(this_task::now() == begin + 1h);
    other = std::thread([&] {
      std::this_thread::sleep_for(2ms);
      woken.set();
    });
    const auto waited = co_await woken.wait();
    CHECK(waited);
    CHECK(this_task::now() == begin + 1h);
    sleeper.request_stop();
    while (!sleeper.ended()) co_await this_task::yield();
  });
  other.join();
}

TEST_CASE("simulated clock: each loop has its own") {
  event_loop one(simulated);
  event_loop two(simulated);
  const auto begin = two.now();
  play(one, [&]() -> task<> { co_await sleep_for(1h); });
  CHECK(two.now() == begin);
  CHECK(this_task::now() >= begin);  // no loop runs here: CLOCK_MONOTONIC
  CHECK(this_task::now() < one.now());
}

TEST_CASE("simulated clock: the loop does not spin") {
  event_loop loop({.clock = loop_clock::simulated, .spin = 1ms});
  play(loop, [&]() -> task<> {
    for (int i = 0; i < 10; ++i) co_await sleep_for(1h);
  });
  CHECK(loop.stats().spins == 0);
  CHECK(loop.stats().idle_spins == 0);
}

// --- inside of another event loop ---

TEST_CASE("simulated clock: poll goes from timer to timer, and returns a time of its host") {
  event_loop loop(simulated);
  const auto begin = loop.now();
  scope tasks(loop);
  bool ended = false;
  const auto body = [&]() -> task<> {
    for (int hour = 0; hour < 1000; ++hour) co_await sleep_for(1h);
    ended = true;
  };
  tasks.spawn(body());
  const coroutine_detail::last_resort guard;
  while (!ended) {
    const auto next = or_throw(loop.poll());
    if (!ended) REQUIRE(next);
    if (next) CHECK(*next <= steady_clock::now());
  }
  CHECK(loop.now() == begin + 1000h);
  CHECK_FALSE(or_throw(loop.poll()));
}

TEST_CASE("simulated clock: poll leaves the host to wait while a blocking call runs", "[threads]") {
  event_loop loop(simulated);
  const auto begin = loop.now();
  const int readable = or_throw(loop.descriptor());
  scope tasks(loop);
  bool ended = false;
  std::promise<void> end;
  const std::shared_future<void> released = end.get_future().share();
  const auto body = [&]() -> task<> {
    const auto waits = [released] { released.wait(); };
    const auto called = co_await with_timeout(1h, run_blocking(waits));
    CHECK(called);
    ended = true;
  };
  tasks.spawn(body());
  const coroutine_detail::last_resort guard;
  for (int i = 0; i < 3; ++i) CHECK_FALSE(or_throw(loop.poll()));
  end.set_value();
  while (!ended) {
    pollfd host{readable, POLLIN, 0};
    REQUIRE(::poll(&host, 1, 60'000) == 1);
    or_throw(loop.poll());
  }
  CHECK(loop.now() == begin);
}

// --- set by hand ---

TEST_CASE("advance: what is due meanwhile comes late, in its order, and an interval tells what it missed") {
  event_loop loop(simulated);
  const auto begin = loop.now();
  std::vector<int> woken;
  play(loop, [&]() -> task<> {
    scope sleepers;
    const auto sleeper = [&](int number, std::chrono::hours length) -> task<> {
      co_await sleep_for(length);
      woken.push_back(number);
      CHECK(this_task::now() == begin + 10h);
    };
    sleepers.spawn(sleeper(2, 2h));
    sleepers.spawn(sleeper(1, 1h));
    interval every(1h, begin + 1h);
    co_await this_task::yield();
    CHECK(loop.advance(10h));
    CHECK(woken.empty());
    co_await sleepers.join();
    const auto missed = co_await every.tick();
    CHECK(missed == 9);
    CHECK(every.next() == begin + 11h);
  });
  CHECK(woken == std::vector{1, 2});
}

TEST_CASE("advance: saturates at the end of time, and the loop still works") {
  event_loop loop(simulated);
  REQUIRE(loop.advance(std::chrono::hours::max()));
  CHECK(loop.now() == steady_clock::time_point::max());
  play(loop, [&]() -> task<> { co_await sleep_for(0s); });
}

TEST_CASE("advance: is refused by a steady clock, backwards, and on another thread", "[threads]") {
  event_loop steady;
  CHECK(steady.advance(1s).error() == std::errc::operation_not_supported);
  event_loop loop(simulated);
  const auto begin = loop.now();
  CHECK(loop.advance(-1ns).error() == errc::out_of_range);
  CHECK(loop.advance(0ns));
  play(loop, []() -> task<> { co_return; });
  std::error_code elsewhere;
  std::thread([&] { elsewhere = loop.advance(1s).error(); }).join();
  CHECK(elsewhere == errc::wrong_thread);
  CHECK(loop.now() == begin);
  const event_loop taken(std::move(loop));
  CHECK(loop.advance(1s).error() == errc::closed);
}

TEST_CASE("a steady clock is CLOCK_MONOTONIC, and other values are refused") {
  event_loop loop;
  const auto before = steady_clock::now();
  const auto now = loop.now();
  CHECK(before <= now);
  CHECK(now <= steady_clock::now());
  const auto unknown = event_loop::create({.clock = static_cast<loop_clock>(2)});
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error() == errc::out_of_range);
}

}  // namespace
