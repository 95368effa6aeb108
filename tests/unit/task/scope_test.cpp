#include "uring6/scope.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "support/case/allocations.hpp"
#include "support/case/coroutines.hpp"
#include "support/case/counted.hpp"
#include "support/process/last_words.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/stop.hpp"
#include "uring6/this_task.hpp"
#include "uring6/timer.hpp"

using namespace std::chrono_literals;
using uring6::test::counted;

namespace uring6 {
namespace {

task<> note(std::vector<int>& order, int number) {
  order.push_back(number);
  co_return;
}

task<> sleep_then_note(std::vector<int>& order, int number, std::chrono::milliseconds duration) {
  [[maybe_unused]] const auto slept = co_await sleep_for(duration);
  order.push_back(number);
}

task<> sleep_until_stopped(int& stopped) {
  const counted here;
  const auto slept = co_await sleep_for(1h);
  if (!slept && slept.error() == errc::canceled) ++stopped;
}

task<> fail_with(std::string what) {
  throw std::runtime_error(what);
  co_return;
}

task<> fail_after(std::chrono::milliseconds duration, std::string what) {
  [[maybe_unused]] const auto slept = co_await sleep_for(duration);
  throw std::runtime_error(what);
}

}  // namespace

template <class T>
concept spawned_alone = requires(scope& in, task<T> child) {
  in.spawn(std::move(child));
};
template <class Sink>
concept is_sink = requires(scope& in, task<int> child, Sink sink) {
  in.spawn(std::move(child), std::move(sink));
};
// A sink that returns a task or a result would lose it.
static_assert(is_sink<void (*)(int)> && !is_sink<task<> (*)(int)> && !is_sink<result<void> (*)(int)>);
// A value, an error perhaps, would be lost.
static_assert(spawned_alone<void> && !spawned_alone<result<void>> && !spawned_alone<int>);

TEST_CASE("scope: join waits for all children") {
  event_loop loop;
  std::vector<int> order;
  auto body = [&]() -> task<> {
    scope children;
    children.spawn(sleep_then_note(order, 2, 2ms));
    children.spawn(note(order, 1));
    CHECK(order.empty());  // Children start in the next round, not inside of spawn.
    CHECK(children.running() == 2);
    co_await children.join();
    CHECK(children.running() == 0);
  };
  loop.run(body());
  CHECK(order == std::vector{1, 2});
}

TEST_CASE("scope: join without children returns at once") {
  event_loop loop;
  bool joined = false;
  auto body = [&]() -> task<> {
    scope children;
    co_await children.join();
    joined = true;
  };
  loop.run(body());
  CHECK(joined);
}

TEST_CASE("scope: it can be used again after a join") {
  event_loop loop;
  std::vector<int> order;
  auto body = [&]() -> task<> {
    scope children;
    children.spawn(note(order, 1));
    co_await children.join();
    children.spawn(note(order, 2));
    co_await children.join();
  };
  loop.run(body());
  CHECK(order == std::vector{1, 2});
}

TEST_CASE("scope: the first exception stops the siblings and comes out of join") {
  event_loop loop;
  int stopped = 0;
  std::string caught;
  auto body = [&]() -> task<> {
    scope children;
    children.spawn(sleep_until_stopped(stopped));
    children.spawn(fail_with("first"));
    children.spawn(fail_with("second"));
    children.spawn(sleep_until_stopped(stopped));
    try {
      co_await children.join();
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    CHECK(children.stop_requested());
    co_await children.join();  // join rethrows the exception once.
  };
  loop.run(body());
  CHECK(caught == "first");
  CHECK(stopped == 2);
  CHECK(counted::alive == 0);
}

TEST_CASE("scope: an exception after a suspension comes out of join, too") {
  event_loop loop;
  int stopped = 0;
  auto body = [&]() -> task<> {
    scope children;
    children.spawn(sleep_until_stopped(stopped));
    children.spawn(fail_after(1ms, "late"));
    co_await children.join();
  };
  CHECK_THROWS_AS(loop.run(body()), std::runtime_error);
  CHECK(stopped == 1);
}

TEST_CASE("scope: request_stop reaches the children, also those spawned later") {
  event_loop loop;
  int stopped = 0;
  auto body = [&]() -> task<> {
    scope children;
    children.spawn(sleep_until_stopped(stopped));
    children.request_stop();
    children.spawn(sleep_until_stopped(stopped));
    co_await children.join();
  };
  loop.run(body());
  CHECK(stopped == 2);
}

TEST_CASE("scope: the stop of the joining coroutine reaches the children") {
  event_loop loop;
  int stopped = 0;
  auto body = [&]() -> task<> {
    scope children;
    children.spawn(sleep_until_stopped(stopped));
    loop.post([&] { loop.request_stop(); });
    co_await children.join();
    CHECK(children.stop_requested());
  };
  loop.run(body());
  CHECK(stopped == 1);
}

TEST_CASE("scope: in the steady state it allocates nothing, with the stop of its parent and its joiner, too") {
  event_loop loop;
  auto child = []() -> task<> { co_await this_task::yield(); };
  auto round = [&](const stop_token& parent) -> task<> {
    scope children(parent);
    for (int i = 0; i < 8; ++i) children.spawn(child());
    co_await children.join();
  };
  auto body = [&]() -> task<> {
    const stop_token mine = co_await this_task::stop_token();
    for (int i = 0; i < 3; ++i) co_await round(mine);
    const test::allocation_count steady;
    for (int i = 0; i < 10; ++i) co_await round(mine);
    CHECK(steady.since() == 0);
  };
  loop.run(body());
}

TEST_CASE("scope: constructed with its parent's token it gets a stop before the join") {
  event_loop loop;
  int stopped = 0;
  auto body = [&]() -> task<> {
    const stop_token inherited = co_await this_task::stop_token();
    scope children(inherited);
    children.spawn(sleep_until_stopped(stopped));
    loop.request_stop();
    CHECK(children.stop_requested());
    co_await children.join();
  };
  loop.run(body());
  CHECK(stopped == 1);
}

TEST_CASE("scope: a child may spawn while join waits") {
  event_loop loop;
  std::vector<int> order;
  auto child = [&](scope& children) -> task<> {
    [[maybe_unused]] const auto slept = co_await sleep_for(1ms);
    children.spawn(sleep_then_note(order, 2, 1ms));
    order.push_back(1);
  };
  auto body = [&]() -> task<> {
    scope children;
    children.spawn(child(children));
    co_await children.join();
    order.push_back(3);
  };
  loop.run(body());
  CHECK(order == std::vector{1, 2, 3});
}

TEST_CASE("scope: a child that is spawned when join is about to return is waited for, too") {
  event_loop loop;
  std::vector<int> order;
  auto body = [&]() -> task<> {
    scope children;
    // Posts run after the ready queue: the last child has ended then, and the joiner has not been resumed.
    auto last = [&]() -> task<> {
      loop.post([&] { children.spawn(sleep_then_note(order, 2, 1ms)); });
      order.push_back(1);
      co_return;
    };
    children.spawn(last());
    co_await children.join();
    CHECK(children.running() == 0);
    order.push_back(3);
  };
  loop.run(body());
  CHECK(order == std::vector{1, 2, 3});
}

TEST_CASE("scope: children that spawn each other in a chain do not grow the stack") {
  event_loop loop;
  int left = 200'000;
  struct chain {
    static task<> link(scope& children, int& to_go) {
      if (--to_go > 0) children.spawn(link(children, to_go));
      co_return;
    }
  };
  auto body = [&]() -> task<> {
    scope children;
    children.spawn(chain::link(children, left));
    co_await children.join();
  };
  loop.run(body());
  CHECK(left == 0);
}

TEST_CASE("scope: objects of a child are destroyed when the child ends, not with the scope") {
  event_loop loop;
  auto owner = [](counted) -> task<> { co_return; };
  auto body = [&]() -> task<> {
    scope children;
    counted given;
    children.spawn(owner(given));
    CHECK(counted::alive == 2);
    [[maybe_unused]] const auto slept = co_await sleep_for(1ms);
    CHECK(children.running() == 0);
    CHECK(counted::alive == 1);
    co_await children.join();
  };
  loop.run(body());
  CHECK(counted::alive == 0);
}

TEST_CASE("scope: an exception that unwinds it drops the children where they wait") {
  event_loop loop;
  int stopped = 0;
  auto body = [&]() -> task<> {
    scope children;
    children.spawn(sleep_until_stopped(stopped));
    while (counted::alive < 1) co_await this_task::yield();
    throw std::runtime_error("on the way");
  };
  CHECK_THROWS_AS(loop.run(body()), std::runtime_error);
  CHECK(stopped == 0);
  CHECK(counted::alive == 0);
}

TEST_CASE("scope: destroyed without a join, it ends the program and names the place of the spawn") {
  const std::string words = test::last_words([] {
    event_loop loop;
    int stopped = 0;
    auto body = [&]() -> task<> {
      scope children;
      children.spawn(sleep_until_stopped(stopped));
      co_return;
    };
    loop.run(body());
  });
  const std::string spawned_at = "scope_test.cpp:" + std::to_string(__LINE__ - 5);
  CHECK_THAT(words, Catch::Matchers::ContainsSubstring("without co_await join()"));
  CHECK_THAT(words, Catch::Matchers::ContainsSubstring(spawned_at));
}

TEST_CASE("scope: destroyed without a join, it names a task that still runs, not one that has ended") {
  const std::string words = test::last_words([] {
    event_loop loop;
    int stopped = 0;
    std::vector<int> order;
    auto body = [&]() -> task<> {
      scope children;
      children.spawn(sleep_until_stopped(stopped));
      children.spawn(note(order, 1));
      [[maybe_unused]] const auto slept = co_await sleep_for(1ms);
    };
    loop.run(body());
  });
  const std::string spawned_at = "scope_test.cpp:" + std::to_string(__LINE__ - 6);
  CHECK_THAT(words, Catch::Matchers::ContainsSubstring("1 of its tasks still run"));
  CHECK_THAT(words, Catch::Matchers::ContainsSubstring(spawned_at));
}

TEST_CASE("scope: an exception that no join has seen ends the program, too") {
  const std::string words = test::last_words([] {
    event_loop loop;
    auto body = []() -> task<> {
      scope children;
      children.spawn(fail_with("never seen"));
      [[maybe_unused]] const auto slept = co_await sleep_for(1ms);
    };
    loop.run(body());
  });
  CHECK_THAT(words, Catch::Matchers::ContainsSubstring("without co_await join()"));
}

TEST_CASE("scope: destroyed outside of a coroutine it drops its children, before the loop or after it") {
  for (const bool loop_first : {false, true}) {
    int stopped = 0;
    auto loop = std::make_unique<event_loop>();
    auto children = std::make_unique<scope>(*loop);
    for (int i = 0; i < 3; ++i) children->spawn(sleep_until_stopped(stopped));
    auto body = []() -> task<> { [[maybe_unused]] const auto slept = co_await sleep_for(1ms); };
    loop->run(body());
    CHECK(counted::alive == 3);
    if (loop_first) loop.reset();
    children.reset();
    CHECK(counted::alive == 0);
    CHECK(stopped == 0);
  }
}

TEST_CASE("scope: destroyed in a coroutine of another loop it drops its children") {
  event_loop outer;
  event_loop inner;
  int stopped = 0;
  auto brief = []() -> task<> { [[maybe_unused]] const auto slept = co_await sleep_for(1ms); };
  auto body = [&]() -> task<> {
    scope children(inner);
    auto nested = [&]() -> task<> {
      children.spawn(sleep_until_stopped(stopped));
      co_await brief();
    };
    inner.run(nested());
    CHECK(counted::alive == 1);
    co_return;
  };
  outer.run(body());
  CHECK(counted::alive == 0);
  CHECK(stopped == 0);
}

TEST_CASE("scope: a child that is dropped drops its own children") {
  int stopped = 0;
  event_loop loop;
  scope outer(loop);
  auto middle = [&]() -> task<> {
    scope inner;
    inner.spawn(sleep_until_stopped(stopped));
    co_await inner.join();
  };
  outer.spawn(middle());
  auto body = [&]() -> task<> {
    scope whole;
    whole.spawn(middle());
    while (counted::alive < 2) co_await this_task::yield();
    throw std::runtime_error("on the way");
  };
  CHECK_THROWS_AS(loop.run(body()), std::runtime_error);
  CHECK(counted::alive == 1);
}

TEST_CASE("scope: a task that was moved from, and one outside of a loop, are refused") {
  std::vector<int> order;
  scope children;
  CHECK_THROWS_AS(children.spawn(note(order, 1)), std::logic_error);
  event_loop loop;
  scope here(loop);
  task<> moved = note(order, 1);
  task<> kept = std::move(moved);
  CHECK_THROWS_AS(here.spawn(std::move(moved)), std::logic_error);
  CHECK(here.running() == 0);
}

TEST_CASE("scope: a spawn from another thread than the loop's is refused", "[threads]") {
  event_loop loop;
  scope children(loop);
  std::vector<int> order;
  children.spawn(note(order, 1));  // the loop has no thread yet
  auto body = []() -> task<> { [[maybe_unused]] const auto slept = co_await sleep_for(1ms); };
  std::thread([&] { loop.run(body()); }).join();
  CHECK(order == std::vector{1});
  CHECK_THROWS_AS(children.spawn(note(order, 2)), std::logic_error);
  CHECK(children.running() == 0);
}

TEST_CASE("scope: two joins at the same time are refused") {
  event_loop loop;
  int stopped = 0;
  auto join = [](scope& children) -> task<> { co_await children.join(); };
  auto body = [&]() -> task<> {
    scope children;
    scope joiners;
    children.spawn(sleep_until_stopped(stopped));
    joiners.spawn(join(children));
    joiners.spawn(join(children));
    co_await joiners.join();
  };
  CHECK_THROWS_AS(loop.run(body()), std::logic_error);
}

TEST_CASE("scope: a hundred thousand sleeping children start and stop") {
  event_loop loop;
  int stopped = 0;
  auto body = [&]() -> task<> {
    scope children;
    for (int i = 0; i < 100'000; ++i) children.spawn(sleep_until_stopped(stopped));
    while (counted::alive < 100'000) co_await this_task::yield();
    children.request_stop();
    co_await children.join();
  };
  loop.run(body());
  CHECK(stopped == 100'000);
  CHECK(counted::alive == 0);
}

TEST_CASE("a scope gives the value of a task to its sink, when the task ends") {
  event_loop loop;
  test::run(loop, []() -> task<> {
    const auto fails = [](std::error_code why) -> task<result<int>> {
      co_await test::yield();
      co_return fail(why);
    };
    const auto moves = []() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(7); };
    std::error_code failed;
    int moved = 0;
    scope all;
    all.spawn(fails(errc::closed), [&](result<int> end) { failed = end.error(); });
    all.spawn(moves(), [&](std::unique_ptr<int> value) { moved = *value; });
    CHECK_FALSE(failed);
    co_await all.join();
    CHECK(failed == errc::closed);
    CHECK(moved == 7);

    bool rethrown = false;
    all.spawn(moves(), [](const std::unique_ptr<int>&) { throw std::runtime_error("of the sink"); });
    try {
      co_await all.join();
    } catch (const std::runtime_error&) {
      rethrown = true;
    }
    CHECK(rethrown);
  });
}

}  // namespace uring6
