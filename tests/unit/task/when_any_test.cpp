#include "uring6/when_any.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/case/counted.hpp"
#include "support/machine/environment.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/listen.hpp"
#include "uring6/packet_conn.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_all.hpp"

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
  [[maybe_unused]] const auto slept = co_await sleep_for(duration);
  throw std::runtime_error("failed");
}

task<> note_stop(bool& stopped) {
  const auto slept = co_await sleep_for(1h);
  stopped = !slept && slept.error() == errc::canceled;
}

static_assert(std::is_trivially_destructible_v<
              detail::when_any_operation<detail::read_from_operation, detail::sleep_operation>::result_type>);

}  // namespace

TEST_CASE("when_any: returns index and value of the first, and joins the others") {
  event_loop loop;
  auto body = []() -> task<> {
    const auto first = co_await when_any(value_after(1h, 1), value_after(1ms, 2), value_after(1h, 3));
    CHECK(first.index == 1);
    CHECK(first.value == 2);
    CHECK(counted::alive == 0);
  };
  loop.run(body());
}

TEST_CASE("when_any: values of several types are returned as a variant") {
  event_loop loop;
  bool stopped = false;
  auto body = [&]() -> task<> {
    const auto first = co_await when_any(note_stop(stopped), value_after(1ms, 2), sleep_for(1h));
    CHECK(first.index == 1);
    CHECK(std::get<1>(first.value) == 2);
    CHECK(stopped);
    const auto sleep_first = co_await when_any(value_after(1h, 2), sleep_for(1ms));
    CHECK(sleep_first.index == 1);
    CHECK(std::get<1>(sleep_first.value).has_value());
  };
  loop.run(body());
}

TEST_CASE("when_any: arguments behind one that ends at once are not started") {
  event_loop loop;
  bool started = false;
  auto start = [&]() -> task<int> {
    started = true;
    co_return 3;
  };
  auto body = [&]() -> task<> {
    const auto first = co_await when_any(value_after(1h, 1), value_at_once(2), start());
    CHECK(first.index == 1);
    CHECK(first.value == 2);
    CHECK_FALSE(started);
    CHECK(counted::alive == 0);
  };
  loop.run(body());
}

TEST_CASE("when_any: an exception of the first is rethrown, one of a stopped task is not") {
  event_loop loop;
  std::string caught;
  auto throws_when_stopped = []() -> task<int> {
    const auto slept = co_await sleep_for(1h);
    or_throw(slept);
    co_return 0;
  };
  auto body = [&]() -> task<> {
    try {
      co_await when_any(throws_when_stopped(), fail_after(1ms));
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    const auto first = co_await when_any(throws_when_stopped(), value_after(1ms, 2));
    CHECK(first.index == 1);
  };
  loop.run(body());
  CHECK(caught == "failed");
}

TEST_CASE("when_any: a stop reaches all") {
  event_loop loop;
  bool stopped = false;
  auto body = [&]() -> task<> {
    loop.post([&] { loop.request_stop(); });
    const auto first = co_await when_any(sleep_for(1h), note_stop(stopped));
    CHECK(stopped);
    if (first.index == 0) CHECK(std::get<0>(first.value).error() == errc::canceled);
  };
  loop.run(body());
}

TEST_CASE("when_any: a stop before the start reaches the first, which ends at once") {
  event_loop loop;
  loop.request_stop();
  auto body = [&]() -> task<> {
    const auto first = co_await when_any(sleep_for(1h), sleep_for(2h));
    CHECK(first.index == 0);
    CHECK(first.value.error() == errc::canceled);
  };
  loop.run(body());
}

TEST_CASE("when_any: takes any number of tasks, but at least one") {
  event_loop loop;
  auto body = []() -> task<> {
    std::vector<task<int>> tasks;
    for (int i = 0; i < 100; ++i) tasks.push_back(value_after(i == 42 ? 1ms : 1h, i));
    const auto first = co_await when_any(std::move(tasks));
    CHECK(first.index == 42);
    CHECK(first.value == 42);
    CHECK(counted::alive == 0);
    std::vector<task<int>> empty;
    CHECK_THROWS_AS(when_any(std::move(empty)), std::invalid_argument);
  };
  loop.run(body());
}

TEST_CASE("when_any: moves values that can only be moved, and nests") {
  event_loop loop;
  auto make = [](std::chrono::milliseconds duration) -> task<std::unique_ptr<std::string>> {
    [[maybe_unused]] const auto slept = co_await sleep_for(duration);
    co_return std::make_unique<std::string>(100, 'x');
  };
  auto body = [&]() -> task<> {
    auto first = co_await when_any(make(1h), when_any(sleep_for(1h), make(1ms)));
    REQUIRE(first.index == 1);
    auto& inner = std::get<1>(first.value);
    REQUIRE(inner.index == 1);
    CHECK(std::get<1>(inner.value)->size() == 100);
  };
  loop.run(body());
}

TEST_CASE("when_any: a read that a timer beats loses no datagram") {
  test::need_ipv6();
  constexpr std::uint32_t datagrams = 20'000;
  event_loop loop;
  auto pc = listen_packet(loop, "udp6", "[::1]:0").value();
  const endpoint self = pc.local_endpoint().value();
  std::uint32_t timeouts = 0;
  std::uint32_t expected = 0;
  bool done = false;

  auto writer = [&]() -> task<> {
    for (std::uint32_t number = 0; number < datagrams; ++number) {
      // At most 64 datagrams under way, so that the kernel need not drop any.
      while (number - expected >= 64) co_await sleep_for(0s);
      std::array<std::byte, sizeof number> payload;
      std::memcpy(payload.data(), &number, sizeof number);
      const auto sent = co_await pc.write_to(payload, self);
      if (!sent) throw std::system_error(sent.error());
      if (number % 16 == 0) co_await sleep_for(10us);
    }
    done = true;
  };
  auto reader = [&]() -> task<> {
    std::array<std::byte, 16> buffer;
    while (expected < datagrams) {
      const auto first = co_await when_any(pc.read_from(buffer), sleep_for(0s));
      if (first.index == 1) {
        ++timeouts;
        continue;
      }
      const auto& got = std::get<0>(first.value);
      if (!got) throw std::system_error(got.error());
      std::uint32_t number = 0;
      std::memcpy(&number, got->payload.data(), sizeof number);
      if (number != expected++) throw std::runtime_error("a datagram is missing");
    }
  };
  auto body = [&]() -> task<> { co_await when_all(writer(), reader()); };
  loop.run(body());
  CHECK(done);
  CHECK(expected == datagrams);
  CHECK(timeouts > 0);
}

}  // namespace uring6
