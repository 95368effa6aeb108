#include "uring6/mutex.hpp"

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <thread>
#include <vector>

#include "uring6/event_loop.hpp"
#include "uring6/scope.hpp"
#include "uring6/timer.hpp"
#include "uring6/with_timeout.hpp"

using namespace std::chrono_literals;

namespace uring6 {

TEST_CASE("async_mutex: one owner at a time, in the order of arrival, across suspensions") {
  event_loop loop;
  async_mutex mutex;
  std::vector<int> order;
  bool inside = false;
  auto visitor = [&](int who) -> task<> {
    const auto lock = co_await mutex.lock();
    REQUIRE(lock.has_value());
    CHECK_FALSE(inside);
    inside = true;
    co_await sleep_for(10us);
    inside = false;
    order.push_back(who);
  };
  auto body = [&]() -> task<> {
    scope visitors;
    for (int i = 0; i < 10; ++i) visitors.spawn(visitor(i));
    co_await visitors.join();
  };
  loop.run(body());
  CHECK(order == std::vector{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
}

TEST_CASE("async_mutex: an exception unlocks it") {
  event_loop loop;
  async_mutex mutex;
  auto body = [&]() -> task<> {
    const auto lock = co_await mutex.lock();
    CHECK_FALSE(mutex.try_lock().has_value());
    throw std::runtime_error("inside");
  };
  CHECK_THROWS_AS(loop.run(body()), std::runtime_error);
  CHECK(mutex.try_lock().has_value());
}

TEST_CASE("async_mutex: unlock before the end of the scope, and only once") {
  event_loop loop;
  async_mutex mutex;
  auto body = [&]() -> task<> {
    auto lock = co_await mutex.lock();
    lock->unlock();
    auto again = mutex.try_lock();
    REQUIRE(again.has_value());
    lock->unlock();  // the guard does not own the lock here
    CHECK_FALSE(mutex.try_lock().has_value());
    async_lock moved = std::move(*again);
    again.reset();
    CHECK_FALSE(mutex.try_lock().has_value());
  };
  loop.run(body());
  CHECK(mutex.try_lock().has_value());
}

TEST_CASE("async_mutex: a wait that is stopped does not lock it") {
  event_loop loop;
  async_mutex mutex;
  auto body = [&]() -> task<> {
    auto held = mutex.try_lock();
    const auto lock = co_await with_timeout(1ms, mutex.lock());
    REQUIRE_FALSE(lock.has_value());
    CHECK(lock.error() == errc::deadline_exceeded);
    held.reset();
    CHECK(mutex.try_lock().has_value());
  };
  loop.run(body());
}

TEST_CASE("async_mutex: excludes tasks of two loops on two threads", "[threads]") {
  constexpr int rounds = 5'000;
  async_mutex mutex;
  int count = 0;  // not atomic: the mutex protects it
  auto visitor = [&]() -> task<> {
    for (int i = 0; i < rounds; ++i) {
      const auto lock = co_await mutex.lock();
      const int before = count;
      if (i % 16 == 0) co_await sleep_for(0s);
      count = before + 1;
    }
  };
  auto run = [&] {
    event_loop loop;
    auto body = [&]() -> task<> {
      scope visitors;
      visitors.spawn(visitor());
      visitors.spawn(visitor());
      co_await visitors.join();
    };
    loop.run(body());
  };
  std::thread other(run);
  run();
  other.join();
  CHECK(count == 4 * rounds);
}

}  // namespace uring6
