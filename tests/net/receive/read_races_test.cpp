// Readers that leave at any moment: a datagram that has arrived goes to the next reader.

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

/// One conn, a sender of numbered datagrams, and a check that each datagram is read once and in order.
struct sequence {
  event_loop loop;
  packet_conn at = open_conn(loop);
  plain_sender sender{name_of(at)};
  std::uint64_t sent = 0;
  std::uint64_t next = 0;

  void send() { sender.send(numbered(sent++)); }
  void note(const datagram& got) {
    REQUIRE(number_in(got.payload) == next);
    ++next;
  }
  task<> read_one(std::optional<std::error_code> may_end_with) {
    std::array<std::byte, 16> buffer;
    const auto got = co_await at.read_from(buffer);
    if (got) {
      note(*got);
    } else {
      REQUIRE(may_end_with);
      REQUIRE(got.error() == *may_end_with);
    }
  }
  /// Reads every datagram that was sent and not read yet.
  task<> read_the_rest() {
    while (next < sent) co_await read_one({});
  }
};

TEST_CASE("a stopped reader loses no datagram, whenever the stop comes") {
  sequence of;
  run(of.loop, [&]() -> task<> {
    for (int round = 0; round < 100'000; ++round) {
      beside reader(of.loop, [&]() -> task<> { co_await of.read_one(errc::canceled); });
      // Three moments: before the reader runs, while it waits, and when a datagram is reserved for it.
      if (round % 4 >= 1) co_await yield();
      if (round % 4 >= 2) of.send();
      if (round % 4 == 3) co_await yield();
      reader.request_stop();
      co_await reader.join();
      if (of.sent - of.next > 100) co_await of.read_the_rest();
    }
    co_await of.read_the_rest();
    CHECK(of.next == 50'000);
  });
}

TEST_CASE("a reader whose deadline passes loses no datagram") {
  sequence of;
  run(of.loop, [&]() -> task<> {
    for (int round = 0; round < 20'000; ++round) {
      beside reader(of.loop, [&]() -> task<> { co_await of.read_one(errc::deadline_exceeded); });
      co_await yield();
      if (round % 3 >= 1) of.send();
      if (round % 3 == 2) co_await yield();
      REQUIRE(of.at.set_read_deadline(std::chrono::steady_clock::now() - 1s));
      co_await reader.join();
      REQUIRE(of.at.set_read_deadline({}));
      if (of.sent - of.next > 100) co_await of.read_the_rest();
    }
    co_await of.read_the_rest();
    CHECK(of.next == of.sent);
  });
}

TEST_CASE("a reader that is destroyed loses no datagram") {
  sequence of;
  run(of.loop, [&]() -> task<> {
    for (int round = 0; round < 20'000; ++round) {
      {
        beside reader(of.loop, [&]() -> task<> { co_await of.read_one({}); });
        co_await yield();
        if (round % 3 >= 1) of.send();
        if (round % 3 == 2) co_await yield();
      }
      if (of.sent - of.next > 100) co_await of.read_the_rest();
    }
    co_await of.read_the_rest();
    CHECK(of.next == of.sent);
  });
}

TEST_CASE("a datagram that was reserved for a reader that leaves goes to the reader behind it") {
  sequence of;
  run(of.loop, [&]() -> task<> {
    for (int round = 0; round < 1000; ++round) {
      auto first = std::make_unique<beside>(of.loop, [&]() -> task<> { co_await of.read_one(errc::canceled); });
      beside second(of.loop, [&]() -> task<> { co_await of.read_one({}); });
      co_await yield();
      of.send();
      // Waits until a datagram is reserved for the first reader, which has not run yet.
      const auto completions = of.loop.stats().completions;
      while (of.loop.stats().completions == completions) co_await yield();
      if (round % 2 == 0) {
        first->request_stop();
      } else {
        first.reset();
      }
      if (first) co_await first->join();
      if (of.next < of.sent) co_await second.join();
    }
    CHECK(of.next >= 500);
  });
}

TEST_CASE("stops from another thread end reads once, and no datagram is lost", "[threads]") {
  sequence of;
  run(of.loop, [&]() -> task<> {
    for (int round = 0; round < 1'000; ++round) {
      beside reader(of.loop, [&]() -> task<> { co_await of.read_one(errc::canceled); });
      co_await yield();
      std::thread stopper([&] { reader.request_stop(); });
      if (round % 2 == 0) of.send();
      co_await reader.join();
      stopper.join();
    }
    co_await of.read_the_rest();
    CHECK(of.next == 500);
  });
}

TEST_CASE("a read with a stop that was requested before takes nothing and submits nothing") {
  sequence of;
  run(of.loop, [&]() -> task<> {
    of.send();
    const auto before = of.loop.stats().submissions;
    beside reader(of.loop, [&]() -> task<> {
      std::array<std::byte, 16> buffer;
      const auto got = co_await of.at.read_from(buffer);
      REQUIRE_FALSE(got);
      CHECK(got.error() == errc::canceled);
    });
    reader.request_stop();
    co_await reader.join();
    CHECK(of.loop.stats().submissions == before);
    co_await of.read_the_rest();
  });
}

}  // namespace
