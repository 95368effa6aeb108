// A stop request of another thread, at every step of the operation that it stops.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/case/stop_race.hpp"
#include "support/machine/environment.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/uring6.hpp"

using namespace std::chrono_literals;

namespace uring6 {
namespace {

/// Runs `body(loop)` until another thread stops the loop, a little later each time. `reached` says from when on the
/// delay counts: the operation has begun.
template <class Body, class Reached>
void stop_at_every_step(Body body, Reached reached) {
  for (int delay = 0; delay < 300; ++delay) {
    event_loop loop;
    std::atomic<bool> started = false;
    std::thread stopper([&] {
      while (!started) std::this_thread::yield();
      for (std::atomic<int> spin = 0; spin < delay * 20; ++spin) {
      }
      loop.request_stop();
    });
    auto whole = [&]() -> task<> {
      started = reached();
      const stop_token token = co_await this_task::stop_token();
      while (!token.stop_requested()) {
        co_await body(loop);
        if (reached()) started = true;
      }
      // An operation that starts after the stop ends at once.
      co_await body(loop);
    };
    loop.run(whole());
    stopper.join();
  }
}

template <class Body>
void stop_at_every_step(Body body) {
  stop_at_every_step(body, [] { return true; });
}

}  // namespace

TEST_CASE("stop from another thread: reaches children of a scope", "[threads]") {
  auto child = []() -> task<> {
    const auto slept = co_await sleep_for(1h);
    CHECK_FALSE(slept.has_value());
  };
  stop_at_every_step([&](event_loop&) -> task<> {
    scope children;
    for (int i = 0; i < 4; ++i) children.spawn(child());
    co_await children.join();
  });
}

TEST_CASE("stop from another thread: reaches the children of when_any and when_all", "[threads]") {
  semaphore never(0);
  stop_at_every_step([&](event_loop&) -> task<> {
    const auto any = co_await when_any(sleep_for(10us), never.acquire(), sleep_for(1h));
    CHECK(any.index <= 2);
    const auto all = co_await when_all(sleep_for(10us), with_timeout(20us, never.acquire()));
    CHECK_FALSE(std::get<1>(all).has_value());
  });
  CHECK(never.available() == 0);
}

TEST_CASE("stop from another thread: a value is received or stays in the channel", "[threads]") {
  channel<int> numbers(2);
  int sent = 0;
  int received = 0;
  auto sender = [&]() -> task<> {
    int number = sent;
    const auto gone = co_await numbers.send(std::move(number));
    if (gone) ++sent;
  };
  stop_at_every_step([&](event_loop&) -> task<> {
    scope senders;
    senders.spawn(sender());
    auto got = co_await with_timeout(10us, numbers.receive());
    if (got && *got != received++) throw std::runtime_error("a value is missing");
    co_await senders.join();
  });
  while (const auto left = numbers.try_receive()) CHECK(*left == received++);
  CHECK(sent == received);
  CHECK(sent > 0);
}

TEST_CASE("stop from another thread: reaches a read, and loses no datagram", "[threads]") {
  test::need_ipv6();
  packet_conn pc;
  endpoint self;
  std::uint8_t sent = 0;
  std::uint8_t received = 0;
  int of_this_loop = 0;
  std::chrono::microseconds patience = 5us;
  auto body = [&](event_loop& loop) -> task<> {
    if (!pc.is_open()) {  // the last one was destroyed with its loop
      pc = or_throw(listen_packet(loop, "udp6", "[::1]:0"));
      self = or_throw(pc.local_endpoint());
      sent = received = 0;
      of_this_loop = 0;
    }
    std::array<std::byte, 1> buffer;
    if (static_cast<std::uint8_t>(sent - received) < 64) {
      buffer[0] = std::byte{sent};
      const auto gone = co_await pc.write_to(buffer, self);
      if (gone) ++sent;
    }
    const auto first = co_await when_any(pc.read_from(buffer), sleep_for(patience));
    if (first.index != 0 || !std::get<0>(first.value)) {
      // A read that always loses to the timer would never meet the stop.
      if (of_this_loop == 0) patience *= 2;
      co_return;
    }
    if (std::get<0>(first.value)->payload[0] != std::byte{received++})
      throw std::runtime_error("a datagram is missing");
    ++of_this_loop;
  };
  // The delay counts from the first datagram that was read in this loop.
  stop_at_every_step(body, [&] { return pc.is_open() && of_this_loop > 0; });
}

TEST_CASE("stop from another thread: reaches an accept, a dial, and a stream's read and write", "[threads]") {
  test::need_ipv6();
  const auto expected = [](const auto& what) { return what || what.error() == errc::canceled; };
  stop_at_every_step([&](event_loop& loop) -> task<> {
    auto listener = or_throw(listen_tcp(loop, "tcp6", "[::1]:0"));
    const std::string address = or_throw(listener.local_endpoint()).to_string();
    auto both = co_await when_all(listener.accept(), dial_tcp(loop, "tcp6", address));
    auto& [accepted, dialed] = both;
    if (!expected(accepted) || !expected(dialed)) throw std::runtime_error("neither connected nor canceled");
    if (!accepted || !dialed) co_return;
    std::array<std::byte, 64> from{};
    std::array<std::byte, 64> into{};
    const auto moved = co_await when_all(accepted->write(from), dialed->read(into));
    const auto& [written, read] = moved;
    if (!expected(written) || !expected(read)) throw std::runtime_error("neither moved nor canceled");
    const auto silence = co_await with_timeout(20us, accepted->read(into));
    if (silence) throw std::runtime_error("octets from nowhere");
  });
}

TEST_CASE("stop from another thread: reaches a poll and a read of a pipe, an event and a lock", "[threads]") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const file_descriptor reading(ends[0]);
  const file_descriptor writing(ends[1]);
  event never;
  async_mutex taken;
  stop_at_every_step([&](event_loop&) -> task<> {
    const auto held = co_await taken.lock();
    if (!held) co_return;
    std::array<std::byte, 8> buffer;
    const auto got = co_await with_timeout(10us, fd::read(reading.get(), buffer));
    const auto seen = co_await with_timeout(10us, fd::poll(reading.get(), poll_events::readable));
    const auto set = co_await with_timeout(10us, never.wait());
    const auto second = co_await with_timeout(10us, taken.lock());
    if (got || seen || set || second) throw std::runtime_error("something from nothing");
  });
}

// --- single operations, stopped about when they begin ---

namespace {

/// For operations that end by the stop only.
template <class Outcome>
void expect_canceled(const Outcome& outcome) {
  if (outcome || outcome.error() != errc::canceled) throw std::runtime_error("not canceled");
}

/// For operations that may end by themselves.
template <class Outcome>
void expect_value_or_canceled(const Outcome& outcome) {
  if (!outcome && outcome.error() != errc::canceled) throw std::runtime_error(outcome.error().message());
}

/// A listening socket without accepts: once its queue is full, a connect waits.
file_descriptor open_full_listener() {
  file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_STREAM));
  or_throw(bind_socket(fd.get(), {ip_address::loopback(), 0}));
  or_throw(listen_socket(fd.get(), 0));
  return fd;
}

}  // namespace

TEST_CASE("stop from another thread: ends a read and a write of a stream, whenever it comes", "[threads]") {
  test::need_ipv6();
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    auto listener = or_throw(listen_tcp(loop, "tcp6", "[::1]:0"));
    const std::string address = or_throw(listener.local_endpoint()).to_string();
    auto dialing = co_await dial_tcp(loop, "tcp6", address);
    auto accepting = co_await listener.accept();
    tcp_conn dialed = or_throw(std::move(dialing));
    tcp_conn accepted = or_throw(std::move(accepting));
    std::array<std::byte, 64> octets{};
    auto read = [&]() -> task<> {
      const auto got = co_await dialed.read(octets);
      expect_canceled(got);
    };
    co_await test::stop_about_its_beginning(20'000, read);

    // The other end reads nothing: soon all writes wait.
    const std::vector<std::byte> much(1024 * 1024);
    auto write = [&]() -> task<> {
      const auto sent = co_await accepted.write(much);
      expect_value_or_canceled(sent);
    };
    co_await test::stop_about_its_beginning(5'000, write);
  });
}

TEST_CASE("stop from another thread: ends an accept and a dial, whenever it comes", "[threads]") {
  test::need_ipv6();
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    auto listener = or_throw(listen_tcp(loop, "tcp6", "[::1]:0"));
    auto accept = [&]() -> task<> {
      const auto got = co_await listener.accept();
      expect_canceled(got);
    };
    co_await test::stop_about_its_beginning(5'000, accept);

    const file_descriptor full = open_full_listener();
    const std::string address = or_throw(local_endpoint(full.get())).to_string();
    auto dial = [&]() -> task<> {
      const auto got = co_await dial_tcp(loop, "tcp6", address);
      expect_value_or_canceled(got);
    };
    co_await test::stop_about_its_beginning(2'000, dial);
  });
}

TEST_CASE("stop from another thread: ends a send on a full channel and a join, whenever it comes", "[threads]") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    channel<int> full(1);
    REQUIRE(full.try_send(1));
    auto send = [&]() -> task<> {
      const int value = 2;
      const auto sent = co_await full.send(value);
      expect_canceled(sent);
    };
    co_await test::stop_about_its_beginning(5'000, send);
    CHECK(full.size() == 1);

    auto sleeper = []() -> task<> {
      const auto slept = co_await sleep_for(1h);
      expect_canceled(slept);
    };
    auto join = [&]() -> task<> {
      scope children;
      children.spawn(sleeper());
      co_await children.join();
    };
    co_await test::stop_about_its_beginning(5'000, join);
  });
}

TEST_CASE("stop from another thread: ends the wait for a blocking call and for a resolver, whenever it comes",
          "[threads]") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    auto call = []() -> task<> {
      const auto until_stopped = [](const stop_token& token) {
        while (!token.stop_requested()) std::this_thread::yield();
      };
      const auto called = co_await run_blocking(until_stopped);
      expect_canceled(called);
    };
    co_await test::stop_about_its_beginning(2'000, call);

    auto ask = []() -> task<> {
      const auto found = co_await resolve("::1", "80");
      expect_value_or_canceled(found);
    };
    co_await test::stop_about_its_beginning(2'000, ask);
  });
}

TEST_CASE("stop from another thread: ends a wait for a signal, whenever it comes", "[threads]") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    signals never(loop, {SIGUSR2});
    auto wait = [&]() -> task<> {
      const auto got = co_await never.next();
      expect_canceled(got);
    };
    co_await test::stop_about_its_beginning(5'000, wait);
  });
}

}  // namespace uring6
