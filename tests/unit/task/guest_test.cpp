// Guests, the senders of other libraries in a loop: their work begins on the loop, and ends exactly once, in every
// case.
#include "uring6/detail/guest.hpp"

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

#include "support/case/coroutines.hpp"
#include "support/case/counted.hpp"
#include "uring6/scope.hpp"
#include "uring6/timer.hpp"
#include "uring6/with_timeout.hpp"

using namespace std::chrono_literals;
using uring6::test::counted;

namespace uring6 {
namespace {

/// Runs a task; `at_end` may destroy it within the call that reports its end.
class visitor final : detail::guest {
 public:
  visitor(event_loop& loop, std::function<task<>()> make) : guest(loop.core()), make_(std::move(make)) {}

  void start(stop_token stop = {}) noexcept { enter(std::move(stop)); }

  int finishes = 0;
  int failures = 0;
  int refusals = 0;
  std::function<void()> at_end = [] {};

 private:
  static detail::guest_work run(visitor& self, counted) { co_await self.make_(); }
  detail::guest_work work() override { return run(*this, counted()); }
  void finished(std::exception_ptr failure) noexcept override {
    ++(failure ? failures : finishes);
    std::exchange(at_end, nullptr)();
  }
  void turned_away() noexcept override { ++refusals; }

  std::function<task<>()> make_;
};

task<> sleep_long() {
  (void)co_await sleep_for(1h);
}

TEST_CASE("guest: its work begins on the loop and ends once, also with an exception") {
  event_loop loop;
  visitor at_once(loop, []() -> task<> { co_return; });
  visitor later(loop, []() -> task<> { (void)co_await sleep_for(1ms); });
  visitor fails(loop, []() -> task<> {
    throw std::runtime_error("of the work");
    co_return;
  });
  test::run(loop, [&]() -> task<> {
    for (visitor* each : {&at_once, &later, &fails}) each->start();
    co_await test::until([&] { return later.finishes == 1; });
  });
  CHECK(at_once.finishes == 1);
  CHECK(fails.failures == 1);
  CHECK(at_once.refusals + later.refusals + fails.refusals == 0);
}

// The frame makes the call that reports its end: it must still exist when that call returns.
TEST_CASE("guest: it may be destroyed in the call that reports its end; its frame is destroyed after that") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    std::optional<visitor> brief(std::in_place, loop, []() -> task<> { (void)co_await sleep_for(1ms); });
    int alive_at_the_end = -1;
    brief->at_end = [&] {
      alive_at_the_end = counted::alive;
      brief.reset();
    };
    brief->start();
    co_await test::until([&] { return !brief.has_value(); });
    CHECK(alive_at_the_end == 1);
    co_await test::yield();
    CHECK(counted::alive == 0);
  });
}

TEST_CASE("guest: a loop that is destroyed earlier refuses it, also one with a task that has children") {
  std::optional<event_loop> loop(std::in_place);
  visitor sleeps(*loop, sleep_long);
  visitor joins(*loop, []() -> task<> {
    scope children;
    children.spawn(sleep_long());
    co_await children.join();
  });
  visitor unbegun(*loop, sleep_long);
  visitor late(*loop, sleep_long);
  test::run(*loop, [&]() -> task<> {
    sleeps.start();
    joins.start();
    co_await test::yield();
    co_await test::yield();
  });
  unbegun.start();
  loop.reset();
  late.start();
  for (const visitor* each : {&sleeps, &joins, &unbegun, &late}) {
    CHECK(each->refusals == 1);
    CHECK(each->finishes + each->failures == 0);
  }
  CHECK(counted::alive == 0);
}

// The loop has a list of the guests to notify when it is destroyed; a guest may be destroyed on another thread once it
// has left that list.
TEST_CASE("guest: a stop of its token ends the work, and then it may be destroyed on another thread", "[threads]") {
  event_loop loop;
  stop_source source;
  std::optional<visitor> leaves(std::in_place, loop, sleep_long);
  test::run(loop, [&]() -> task<> {
    leaves->start(source.get_token());
    std::thread([&] { source.request_stop(); }).join();
    co_await test::until([&] { return leaves->finishes == 1; });
    std::thread elsewhere([&] { leaves.reset(); });
    for (int i = 0; i < 100; ++i) (void)co_await with_timeout(1us, sleep_for(1h));
    elsewhere.join();
  });
  CHECK_FALSE(leaves.has_value());
}

TEST_CASE("guest: a loop that was moved from refuses it") {
  event_loop loop;
  const event_loop elsewhere(std::move(loop));
  visitor lost(loop, sleep_long);
  lost.start();
  CHECK(lost.refusals == 1);
}

}  // namespace
}  // namespace uring6
