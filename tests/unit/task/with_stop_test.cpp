#include "uring6/with_stop.hpp"

#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <utility>

#include "support/case/coroutines.hpp"
#include "support/machine/environment.hpp"
#include "support/traffic/conns.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/scope.hpp"
#include "uring6/semaphore.hpp"
#include "uring6/stop.hpp"
#include "uring6/timer.hpp"
#include "uring6/with_timeout.hpp"

using namespace std::chrono_literals;

namespace uring6 {
namespace {

task<bool> hears_stop() {
  const auto slept = co_await sleep_for(test::patience);
  const auto token = co_await this_task::stop_token();
  co_return !slept && slept.error() == errc::canceled && token.stop_requested();
}

TEST_CASE("with_stop: a stop of the token ends the operation, on the loop's thread or another", "[threads]") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    stop_source here;
    test::beside stopper(loop, [&]() -> task<> {
      here.request_stop();
      co_return;
    });
    const auto slept = co_await with_stop(here.get_token(), sleep_for(test::patience));
    CHECK(slept == fail(errc::canceled));
    co_await stopper.join();

    stop_source elsewhere;
    std::optional<std::jthread> other(std::in_place, [&] { elsewhere.request_stop(); });
    const bool heard = co_await with_stop(elsewhere.get_token(), hears_stop());
    other.reset();
    CHECK(heard);
  });
}

TEST_CASE("with_stop: a stop that was requested before is found by the operation, and data comes first") {
  test::need_ipv6();
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    stop_source before;
    before.request_stop();
    const auto slept = co_await with_stop(before.get_token(), sleep_for(test::patience));
    CHECK(slept == fail(errc::canceled));

    packet_conn pc = test::open_conn(loop);
    const endpoint self = test::name_of(pc);
    const auto sent = co_await pc.write_to("kept", self);
    REQUIRE(sent);
    std::array<std::byte, 64> buffer;
    const auto canceled = co_await with_stop(before.get_token(), pc.read_from(buffer));
    CHECK(canceled.error() == errc::canceled);
    stop_source late;
    const auto got = co_await with_stop(late.get_token(), pc.read_from(buffer));
    REQUIRE(got.has_value());
    CHECK(test::as_text(got->payload) == "kept");
    late.request_stop();  // the operation has left the token
  });
}

TEST_CASE("with_stop: the token of a std::stop_source is one, too", "[threads]") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    std::stop_source standard;
    std::jthread other([&] { standard.request_stop(); });
    const auto slept = co_await with_stop(standard.get_token(), sleep_for(test::patience));
    CHECK(slept == fail(errc::canceled));
    scope children(standard.get_token());
    CHECK(children.stop_requested());
  });
}

TEST_CASE("with_stop: the caller's stop reaches the operation, and a token that cannot stop is none") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    const auto slept = co_await with_timeout(1ms, with_stop(stop_token(), sleep_for(test::patience)));
    CHECK(slept == fail(errc::deadline_exceeded));
    stop_source never;
    const auto also = co_await with_timeout(1ms, with_stop(never.get_token(), sleep_for(test::patience)));
    CHECK(also == fail(errc::deadline_exceeded));
  });
}

TEST_CASE("with_stop: an exception comes through, and a second await is refused") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    const auto throws = []() -> task<> {
      throw std::runtime_error("of the task");
      co_return;
    };
    stop_source source;
    bool thrown = false;
    try {
      co_await with_stop(source.get_token(), throws());
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    CHECK(thrown);
    auto once = with_stop(source.get_token(), sleep_for(1ms));
    (void)co_await std::move(once);
    bool refused = false;
    try {
      (void)co_await std::move(once);
    } catch (const std::logic_error&) {
      refused = true;
    }
    CHECK(refused);
  });
}

TEST_CASE("with_stop: a stop from another thread that races with the end has one outcome", "[threads]") {
  event_loop loop;
  int values = 0;
  int canceled = 0;
  test::run(loop, [&]() -> task<> {
    semaphore turns(0);
    for (int i = 0; i < 500; ++i) {
      stop_source source;
      std::jthread stopper([&] {
        source.request_stop();
        turns.release();
      });
      const auto got = co_await with_stop(source.get_token(), turns.acquire());
      ++(got ? values : canceled);
      stopper.join();
      if (!got) {
        // The permit that the stopped operation did not take is there for the next one.
        const auto left = co_await turns.acquire();
        REQUIRE(left);
      }
      CHECK(turns.available() == 0);
    }
  });
  CHECK(values + canceled == 500);
}

TEST_CASE("with_stop: a coroutine that is destroyed while it waits leaves the token", "[threads]") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    for (int i = 0; i < 200; ++i) {
      stop_source source;
      std::optional<test::beside> waiting(std::in_place, loop, [](stop_token token) -> task<> {
        (void)co_await with_stop(std::move(token), sleep_for(test::patience));
      }(source.get_token()));
      co_await test::yield();
      std::jthread stopper([&] { source.request_stop(); });
      waiting.reset();
    }
  });
}

}  // namespace
}  // namespace uring6
