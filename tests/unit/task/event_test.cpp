#include "uring6/event.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include "uring6/event_loop.hpp"
#include "uring6/scope.hpp"
#include "uring6/timer.hpp"
#include "uring6/with_timeout.hpp"

using namespace std::chrono_literals;

namespace uring6 {

TEST_CASE("event: set resumes all waiters, and later ones pass until reset") {
  event_loop loop;
  event happened;
  int passed = 0;
  auto wait = [&]() -> task<> {
    const auto waited = co_await happened.wait();
    if (waited) ++passed;
  };
  auto body = [&]() -> task<> {
    scope waiting;
    for (int i = 0; i < 3; ++i) waiting.spawn(wait());
    co_await sleep_for(0s);
    CHECK(passed == 0);
    happened.set();
    happened.set();
    CHECK(happened.is_set());
    co_await waiting.join();
    CHECK(passed == 3);

    co_await wait();
    CHECK(passed == 4);
    happened.reset();
    CHECK_FALSE(happened.is_set());
    const auto waited = co_await with_timeout(1ms, happened.wait());
    REQUIRE_FALSE(waited.has_value());
    CHECK(waited.error() == errc::deadline_exceeded);
  };
  loop.run(body());
}

TEST_CASE("event: a waiter that set has released passes, although it is reset at once and another waiter is stopped") {
  event_loop loop;
  event happened;
  int passed = 0;
  auto wait = [&]() -> task<> {
    const auto waited = co_await happened.wait();
    if (waited) ++passed;
  };
  auto body = [&]() -> task<> {
    scope waiting;
    scope stopped;
    waiting.spawn(wait());
    stopped.spawn(wait());
    co_await sleep_for(0s);
    happened.set();
    happened.reset();
    stopped.request_stop();
    co_await waiting.join();
    co_await stopped.join();
    CHECK(passed == 1);
    CHECK_FALSE(happened.is_set());
  };
  loop.run(body());
}

TEST_CASE("event: another thread may set it", "[threads]") {
  for (int round = 0; round < 200; ++round) {
    event_loop loop;
    event happened;
    std::thread setter([&] { happened.set(); });
    auto body = [&]() -> task<> {
      const auto waited = co_await happened.wait();
      CHECK(waited.has_value());
    };
    loop.run(body());
    setter.join();
  }
}

// ThreadSanitizer reports it if a wait ends while the call that ended it still uses the event.
TEST_CASE("event: may be destroyed when the wait has ended, although the thread that set it was still in set",
          "[threads]") {
  for (int round = 0; round < 300; ++round) {
    std::optional<event_loop> loop(std::in_place);
    auto happened = std::make_unique<event>();
    std::atomic<bool> waiting{false};
    std::thread setter([&waiting, &at = *happened] {
      while (!waiting) std::this_thread::yield();
      at.set();
    });
    loop->post([&] { waiting = true; });  // the post runs after the first round of the body
    const auto body = [&]() -> task<> {
      const auto waited = co_await happened->wait();
      happened.reset();
      CHECK(waited.has_value());
    };
    loop->run(body());
    loop.reset();  // the other thread may be about to wake the loop
    setter.join();
  }
}

}  // namespace uring6
