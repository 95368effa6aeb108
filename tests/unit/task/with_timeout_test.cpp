#include "uring6/with_timeout.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <memory>
#include <stdexcept>

#include "support/machine/environment.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/listen.hpp"
#include "uring6/packet_conn.hpp"
#include "uring6/shield.hpp"
#include "uring6/stop.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_all.hpp"
#include "uring6/when_any.hpp"

using namespace std::chrono_literals;

namespace uring6 {
namespace {

task<result<int>> value_after(std::chrono::milliseconds duration, int value) {
  const auto slept = co_await sleep_for(duration);
  if (!slept) co_return fail(slept.error());
  co_return value;
}

task<bool> stopped_in_sleep() {
  const auto slept = co_await sleep_for(1h);
  co_return !slept && slept.error() == errc::canceled;
}

}  // namespace

TEST_CASE("with_timeout: an operation that ends in time gives its value") {
  event_loop loop;
  auto body = []() -> task<> {
    const auto got = co_await with_timeout(1h, value_after(1ms, 7));
    CHECK(got == 7);
    const auto slept = co_await with_timeout(1h, sleep_for(1ms));
    CHECK(slept.has_value());
  };
  loop.run(body());
}

TEST_CASE("with_timeout: an operation that does not end in time is stopped, and the error names the deadline") {
  event_loop loop;
  auto body = []() -> task<> {
    const auto slept = co_await with_timeout(1ms, sleep_for(1h));
    REQUIRE_FALSE(slept.has_value());
    CHECK(slept.error() == errc::deadline_exceeded);
    const auto got = co_await with_timeout(1ms, value_after(1h, 7));
    REQUIRE_FALSE(got.has_value());
    CHECK(got.error() == errc::deadline_exceeded);
  };
  loop.run(body());
}

TEST_CASE("with_timeout: a task without result<T> is stopped, too, and gives its value") {
  event_loop loop;
  auto body = []() -> task<> {
    const bool stopped = co_await with_timeout(1ms, stopped_in_sleep());
    CHECK(stopped);
  };
  loop.run(body());
}

TEST_CASE(
    "with_timeout: a read that times out loses no datagram, and a datagram that is there wins over a past deadline") {
  test::need_ipv6();
  event_loop loop;
  auto pc = listen_packet(loop, "udp6", "[::1]:0").value();
  const endpoint self = pc.local_endpoint().value();
  auto body = [&]() -> task<> {
    std::array<std::byte, 16> buffer;
    const auto none = co_await with_timeout(1ms, pc.read_from(buffer));
    REQUIRE_FALSE(none.has_value());
    CHECK(none.error() == errc::deadline_exceeded);

    const std::array<std::byte, 2> payload{std::byte{1}, std::byte{2}};
    for (int i = 0; i < 2; ++i) {
      const auto sent = co_await pc.write_to(payload, self);
      CHECK(sent.has_value());
    }
    const auto first = co_await with_timeout(1h, pc.read_from(buffer));
    REQUIRE(first.has_value());
    CHECK(first->payload.size() == 2);
    while (pc.stats().received_buffers < 2) co_await sleep_for(0s);
    const auto second = co_await with_deadline(std::chrono::steady_clock::now() - 1s, pc.read_from(buffer));
    CHECK(second.has_value());
  };
  loop.run(body());
}

TEST_CASE("with_timeout: a stop from outside gives canceled, not the deadline's error") {
  event_loop loop;
  auto body = [&]() -> task<> {
    loop.post([&] { loop.request_stop(); });
    const auto slept = co_await with_timeout(1h, sleep_for(2h));
    REQUIRE_FALSE(slept.has_value());
    CHECK(slept.error() == errc::canceled);
    const auto again = co_await with_timeout(1h, sleep_for(2h));
    REQUIRE_FALSE(again.has_value());
    CHECK(again.error() == errc::canceled);
  };
  loop.run(body());
}

TEST_CASE("with_timeout: a stopped operation keeps errc::canceled, although the deadline passes before it has ended") {
  event_loop loop({.clock = loop_clock::simulated});
  const auto slow_to_end = []() -> task<result<void>> {
    const auto slept = co_await sleep_for(5h);
    const auto tidied_up = co_await shield(10h, sleep_for(3h));
    CHECK(tidied_up);
    co_return slept;
  };
  auto body = [&]() -> task<> {
    loop.post([&] { loop.request_stop(); });
    const auto ended = co_await with_timeout(2h, slow_to_end());
    REQUIRE_FALSE(ended.has_value());
    CHECK(ended.error() == errc::canceled);
  };
  loop.run(body());
}

TEST_CASE("with_timeout: a value, and an error other than canceled, come through although the deadline has passed") {
  event_loop loop({.clock = loop_clock::simulated});
  const auto late_value = []() -> task<result<int>> {
    const auto slept = co_await sleep_for(5h);
    CHECK(slept.error() == errc::canceled);
    co_return 7;
  };
  const auto own_error = []() -> task<result<int>> {
    const auto slept = co_await sleep_for(5h);
    CHECK(slept.error() == errc::canceled);
    co_return fail(std::errc::connection_refused);
  };
  const auto body = [&]() -> task<> {
    const auto value = co_await with_timeout(2h, late_value());
    CHECK(value == 7);
    const auto error = co_await with_timeout(2h, own_error());
    CHECK(error.error() == std::errc::connection_refused);
  };
  loop.run(body());
}

TEST_CASE("with_timeout: of two nested ones the shorter counts") {
  event_loop loop;
  auto body = []() -> task<> {
    const auto inner = co_await with_timeout(1h, with_timeout(1ms, sleep_for(2h)));
    CHECK(inner.error() == errc::deadline_exceeded);
    const auto outer = co_await with_timeout(1ms, with_timeout(1h, sleep_for(2h)));
    CHECK(outer.error() == errc::deadline_exceeded);
  };
  loop.run(body());
}

TEST_CASE("with_timeout: an exception is rethrown") {
  event_loop loop;
  auto thrower = [](std::chrono::milliseconds duration) -> task<> {
    [[maybe_unused]] const auto slept = co_await sleep_for(duration);
    throw std::runtime_error("inside");
  };
  auto body = [&]() -> task<> { co_await with_timeout(1h, thrower(1ms)); };
  CHECK_THROWS_AS(loop.run(body()), std::runtime_error);
  auto late = [&]() -> task<> { co_await with_timeout(1ms, thrower(1000s)); };
  CHECK_THROWS_AS(loop.run(late()), std::runtime_error);
}

TEST_CASE("with_timeout: moves values that can only be moved") {
  event_loop loop;
  auto make = []() -> task<result<std::unique_ptr<int>>> { co_return std::make_unique<int>(7); };
  auto body = [&]() -> task<> {
    auto got = co_await with_timeout(1h, make());
    REQUIRE(got.has_value());
    CHECK(**got == 7);
  };
  loop.run(body());
}

TEST_CASE("with_timeout: contains when_any and when_all, and is contained in them") {
  event_loop loop;
  auto body = []() -> task<> {
    const auto any = co_await with_timeout(1ms, when_any(sleep_for(1h), sleep_for(2h)));
    CHECK(any.value.error() == errc::canceled);
    const auto all = co_await when_all(with_timeout(1ms, sleep_for(1h)), with_timeout(1h, sleep_for(1ms)));
    CHECK(std::get<0>(all).error() == errc::deadline_exceeded);
    CHECK(std::get<1>(all).has_value());
  };
  loop.run(body());
}

TEST_CASE("with_timeout: an infinite time is no time in the past") {
  event_loop loop;
  auto body = []() -> task<> {
    const auto slept = co_await with_timeout(std::chrono::hours::max(), sleep_for(1ms));
    CHECK(slept.has_value());
  };
  loop.run(body());
}

}  // namespace uring6
