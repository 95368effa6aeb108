#include "uring6/semaphore.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <thread>
#include <vector>

#include "support/case/allocations.hpp"
#include "support/case/coroutines.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/scope.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_any.hpp"
#include "uring6/with_timeout.hpp"

using namespace std::chrono_literals;

namespace uring6 {
namespace {

struct occupancy {
  int now = 0;
  int most = 0;
  std::vector<int> order;
};

task<> visit(semaphore& places, occupancy& inside, int who) {
  const auto entered = co_await places.acquire();
  if (!entered) co_return;
  inside.order.push_back(who);
  inside.most = std::max(inside.most, ++inside.now);
  [[maybe_unused]] const auto stayed = co_await sleep_for(100us);
  --inside.now;
  places.release();
}

}  // namespace

TEST_CASE("semaphore: admits as many as it has permits, in the order of arrival") {
  event_loop loop;
  semaphore places(3);
  occupancy inside;
  auto body = [&]() -> task<> {
    scope visitors;
    for (int i = 0; i < 20; ++i) visitors.spawn(visit(places, inside, i));
    co_await visitors.join();
  };
  loop.run(body());
  CHECK(inside.most == 3);
  CHECK(std::ranges::is_sorted(inside.order));
  CHECK(inside.order.size() == 20);
  CHECK(places.available() == 3);
}

TEST_CASE("semaphore: a later waiter does not overtake one that has a permit reserved and has not resumed") {
  event_loop loop;
  semaphore places(0);
  std::vector<int> order;
  auto enter = [&](int who) -> task<> {
    const auto entered = co_await places.acquire();
    CHECK(entered.has_value());
    order.push_back(who);
  };
  auto body = [&]() -> task<> {
    scope visitors;
    visitors.spawn(enter(1));
    co_await sleep_for(0s);
    places.release();  // reserved for waiter 1, which resumes in the next round
    CHECK_FALSE(places.try_acquire());
    places.release();
    CHECK(places.try_acquire());
    co_await visitors.join();
  };
  loop.run(body());
  CHECK(order == std::vector{1});
}

TEST_CASE("semaphore: a wait that is stopped takes nothing, neither before a permit is reserved for it nor after") {
  event_loop loop;
  semaphore places(0);
  auto body = [&]() -> task<> {
    const auto timed_out = co_await with_timeout(1ms, places.acquire());
    REQUIRE_FALSE(timed_out.has_value());
    CHECK(timed_out.error() == errc::deadline_exceeded);
    CHECK(places.available() == 0);

    scope visitors;
    result<void> entered;
    auto enter = [&]() -> task<> { entered = co_await places.acquire(); };
    visitors.spawn(enter());
    co_await sleep_for(0s);
    places.release();         // a permit is reserved,
    visitors.request_stop();  // and the stop comes before the waiter resumes
    co_await visitors.join();
    REQUIRE_FALSE(entered.has_value());
    CHECK(entered.error() == errc::canceled);
    CHECK(places.available() == 1);
  };
  loop.run(body());
}

TEST_CASE("semaphore: a wait that is destroyed gives its permit to the next") {
  event_loop loop;
  semaphore places(0);
  occupancy inside;
  auto body = [&]() -> task<> {
    scope stays;
    {
      scope dropped(loop);
      dropped.spawn(visit(places, inside, 1));
      co_await sleep_for(0s);
      stays.spawn(visit(places, inside, 2));
      co_await sleep_for(0s);
      places.release();
      dropped.request_stop();
      co_await dropped.join();
    }
    co_await stays.join();
  };
  loop.run(body());
  CHECK(inside.order == std::vector{2});
  CHECK(places.available() == 1);
}

TEST_CASE("semaphore: in when_any the loser takes no permit") {
  event_loop loop;
  semaphore first(0);
  semaphore second(0);
  auto body = [&]() -> task<> {
    for (int i = 0; i < 100; ++i) {
      scope giver;
      auto give = [&]() -> task<> {
        first.release();
        second.release();
        co_return;
      };
      giver.spawn(give());
      const auto got = co_await when_any(first.acquire(), second.acquire());
      CHECK(got.value.has_value());
      CHECK(first.available() + second.available() == 1);
      CHECK((got.index == 0 ? second : first).try_acquire());
      co_await giver.join();
    }
  };
  loop.run(body());
}

TEST_CASE("semaphore: outside of a loop a wait is an error") {
  semaphore places(0);
  result<void> entered;
  auto body = [&]() -> task<> { entered = co_await places.acquire(); };
  const task<> alone = body();
  alone.handle().resume();
  REQUIRE(alone.done());
  CHECK(entered.error() == errc::wrong_thread);
}

TEST_CASE("semaphore: keeps its count between loops on two threads", "[threads]") {
  constexpr int rounds = 2'000;
  semaphore places(2);
  std::atomic<int> inside = 0;
  std::atomic<int> most = 0;
  auto visitor = [&]() -> task<> {
    for (int i = 0; i < rounds; ++i) {
      // Some waiters time out: a permit that is reserved for them must not be lost.
      const auto entered = co_await with_timeout(i % 5 == 0 ? 1us : 1h, places.acquire());
      if (!entered) continue;
      const int here = ++inside;
      if (here > most) most = here;
      if (i % 8 == 0) co_await sleep_for(0s);
      --inside;
      places.release();
    }
  };
  auto run = [&] {
    event_loop loop;
    auto body = [&]() -> task<> {
      scope visitors;
      for (int i = 0; i < 4; ++i) visitors.spawn(visitor());
      co_await visitors.join();
    };
    loop.run(body());
  };
  std::thread other(run);
  run();
  other.join();
  CHECK(most <= 2);
  CHECK(inside == 0);
  CHECK(places.available() == 2);
}

TEST_CASE("semaphore: a permit from another thread for a waiting coroutine needs no memory", "[threads]") {
  event_loop loop;
  semaphore places(0);
  bool entered = false;
  std::size_t allocated = 1;
  loop.run([](semaphore& of, bool& served, std::size_t& count) -> task<> {
    scope waiting;
    waiting.spawn([](semaphore& from, bool& got) -> task<> {
      const auto permit = co_await from.acquire();
      got = permit.has_value();
    }(of, served));
    co_await test::yield();
    co_await test::yield();
    std::thread([&] {
      const test::allocation_count before;
      of.release();
      count = before.since();
    }).join();
    co_await waiting.join();
  }(places, entered, allocated));
  CHECK(entered);
  CHECK(allocated == 0);
}

}  // namespace uring6
