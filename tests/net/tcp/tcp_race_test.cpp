// TCP operations that lose a race (when_any) or are stopped: the octets that they had taken from the connection are
// kept.

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <variant>

#include "net/tcp/kept_octets.hpp"
#include "support/case/allocations.hpp"
#include "support/case/coroutines.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/streams.hpp"
#include "uring6/tcp.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_all.hpp"
#include "uring6/when_any.hpp"
#include "uring6/with_timeout.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

void put(const tcp_conn& into, std::span<const std::byte> octets) {
  REQUIRE(::send(into.native_handle(), octets.data(), octets.size(), 0) == std::ssize(octets));
}

/// Resets the connection: the kernel drops its state, and the peer gets one ECONNRESET.
void reset(tcp_conn& which) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  REQUIRE(::setsockopt(which.native_handle(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
  REQUIRE(which.close());
}

/// A read of `from` loses a race in the turn in which its completion of `act` arrives: the winner is in front of it in
/// the ready queue. `decide(race)` is called just before the winner ends.
template <class Act, class Decide>
task<> lose_a_read(event_loop& loop, tcp_conn& from, Act act, Decide decide) {
  std::array<std::byte, 16> buffer;
  bool decided = false;
  std::size_t winner = 2;
  std::optional<beside> race;
  beside judge(loop, [&]() -> task<> {
    co_await yield();
    co_await yield();
    co_await yield();
    act();
    co_await yield();
    decide(*race);
    decided = true;
  });
  const auto wait_for_the_judge = [&]() -> task<result<std::size_t>> {
    while (!decided) co_await yield();
    co_return 0U;
  };
  race.emplace(loop, [&]() -> task<> {
    const auto first = co_await when_any(wait_for_the_judge(), from.read(buffer));
    winner = first.index;
  });
  co_await judge.join();
  co_await race->join();
  REQUIRE(winner == 0);
}

constexpr auto by_itself = [](beside&) {};

TEST_CASE("a TCP read that loses to a timer leaves its octets to the next read, in order") {
  int lost = 0;
  for (const std::chrono::microseconds pause : {0us, 1us, 20us, 200us}) {
    event_loop loop;
    run(loop, [&]() -> task<> {
      auto pair = co_await connect(loop);
      const bytes all = pattern(60'000);
      beside writer(loop, [&]() -> task<> {
        for (std::span<const std::byte> rest = all; !rest.empty();) {
          const auto part = rest.first(std::min<std::size_t>(rest.size(), 97));
          const auto sent = co_await pair.here.write(part);
          REQUIRE(sent);
          rest = rest.subspan(part.size());
          co_await yield();
        }
        REQUIRE(pair.here.close());
      });
      bytes seen;
      std::array<std::byte, 61> buffer;
      for (bool at_end = false; !at_end;) {
        const auto first = co_await when_any(sleep_for(pause), pair.there.read(buffer));
        if (first.index == 0) {
          ++lost;
          // A timer of 0 ends before the loop asks the kernel, so that the next read waits.
          const auto got = co_await pair.there.read(buffer);
          REQUIRE(got);
          at_end = *got == 0;
          seen.insert(seen.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*got));
          continue;
        }
        const auto& got = std::get<1>(first.value);
        REQUIRE(got);
        at_end = *got == 0;
        seen.insert(seen.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*got));
      }
      const bool all_came = seen == all;
      CHECK(all_came);
      CHECK(pair.there.stats().received_bytes == all.size());
      co_await writer.join();
    });
  }
  CHECK(lost > 0);
}

TEST_CASE("the octets or the end that a losing TCP read got in the winner's turn go to the next read") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pair = co_await connect(loop);
    std::array<std::byte, 16> buffer;
    for (int i = 0; i < 20; ++i) {
      const auto sends = [&] { put(pair.here, as_payload("kept")); };
      co_await lose_a_read(loop, pair.there, sends, by_itself);
      const auto got = co_await with_timeout(10s, pair.there.read(buffer));
      REQUIRE(got == 4U);
      CHECK(as_text(std::span(buffer).first(4)) == "kept");
    }
    CHECK(pair.there.stats().received_bytes == 80);
  });
}

// The winner resumes before this loop handles the stop that another thread has requested.
TEST_CASE("a TCP read loses no octets to a winner that ends while another thread's stop is on its way", "[threads]") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pair = co_await connect(loop);
    const auto sends = [&] { put(pair.here, as_payload("kept")); };
    const auto by_another = [](beside& race) { std::thread([&] { race.request_stop(); }).join(); };
    co_await lose_a_read(loop, pair.there, sends, by_another);
    std::array<std::byte, 16> buffer;
    const auto got = co_await with_timeout(10s, pair.there.read(buffer));
    REQUIRE(got == 4U);
    CHECK(as_text(std::span(buffer).first(4)) == "kept");
  });
}

TEST_CASE("of two TCP reads that get their octets at the same time, the losing one leaves its own") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto one = co_await connect(loop);
    auto two = co_await connect(loop);
    std::array<std::byte, 16> first_buffer;
    std::array<std::byte, 16> second_buffer;
    for (int i = 0; i < 50; ++i) {
      beside sender(loop, [&]() -> task<> {
        put(one.here, as_payload("one"));
        put(two.here, as_payload("two"));
        co_return;
      });
      const auto first = co_await when_any(one.there.read(first_buffer), two.there.read(second_buffer));
      REQUIRE(first.value == 3U);
      tcp_conn& other = first.index == 0 ? two.there : one.there;
      std::array<std::byte, 16> buffer;
      const auto rest = co_await with_timeout(10s, other.read(buffer));
      REQUIRE(rest == 3U);
      CHECK(as_text(std::span(buffer).first(3)) == (first.index == 0 ? "two" : "one"));
      co_await sender.join();
    }
  });
}

TEST_CASE("a TCP read with a timeout loses no octets to a read that gets its own in the same turn") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto one = co_await connect(loop);
    auto two = co_await connect(loop);
    std::array<std::byte, 16> first_buffer;
    std::array<std::byte, 16> second_buffer;
    for (int i = 0; i < 50; ++i) {
      put(one.here, as_payload("one"));
      put(two.here, as_payload("two"));
      const auto first =
          co_await when_any(with_timeout(10s, one.there.read(first_buffer)), two.there.read(second_buffer));
      REQUIRE(first.value == 3U);
      tcp_conn& other = first.index == 0 ? two.there : one.there;
      std::array<std::byte, 16> buffer;
      const auto rest = co_await with_timeout(10s, other.read(buffer));
      REQUIRE(rest == 3U);
      CHECK(as_text(std::span(buffer).first(3)) == (first.index == 0 ? "two" : "one"));
    }
  });
}

TEST_CASE("a TCP read that is stopped when it has its octets leaves all of them, also to shorter reads") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pair = co_await connect(loop);
    std::array<std::byte, 16> buffer;
    std::optional<result<std::size_t>> got;
    beside reader(loop, [&]() -> task<> { got = co_await pair.there.read(buffer); });
    co_await yield();
    put(pair.here, as_payload("0123456789"));
    co_await yield();
    reader.request_stop();
    co_await reader.join();
    REQUIRE(got);
    REQUIRE_FALSE(*got);
    CHECK(got->error() == errc::canceled);
    std::string seen;
    while (seen.size() < 10) {
      got = co_await with_timeout(10s, pair.there.read(std::span(buffer).first(3)));
      REQUIRE(*got);
      seen += as_text(std::span(buffer).first(**got));
    }
    CHECK(seen == "0123456789");
  });
}

TEST_CASE("a connection with octets that a losing read has left is reset by close, like one that was never read") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    for (const bool loses : {false, true}) {
      auto pair = co_await connect(loop);
      const auto sends = [&] { put(pair.here, as_payload("unread")); };
      if (loses) {
        co_await lose_a_read(loop, pair.there, sends, by_itself);
      } else {
        sends();
      }
      REQUIRE(pair.there.close());
      std::array<std::byte, 16> buffer;
      const auto got = co_await pair.here.read(buffer);
      REQUIRE_FALSE(got);
      CHECK(got.error() == std::errc::connection_reset);
    }
  });
}

TEST_CASE("a reset that a losing TCP read got is the next read's error, not the end of the stream") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pair = co_await connect(loop);
    const auto resets = [&] { reset(pair.here); };
    co_await lose_a_read(loop, pair.there, resets, by_itself);
    std::array<std::byte, 16> buffer;
    const auto got = co_await pair.there.read(buffer);
    REQUIRE_FALSE(got);
    CHECK(got.error() == std::errc::connection_reset);
    const auto end = co_await pair.there.read(buffer);
    CHECK(end == 0U);
  });
}

TEST_CASE("after a TCP write has got the reset a read does not give the end of the stream") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pair = co_await connect(loop);
    reset(pair.here);
    const auto sent = co_await pair.there.write(as_payload("x"));
    REQUIRE_FALSE(sent);
    REQUIRE(sent.error() == std::errc::connection_reset);
    std::array<std::byte, 16> buffer;
    const auto got = co_await pair.there.read(buffer);
    REQUIRE_FALSE(got);
    CHECK(got.error() == std::errc::connection_reset);
    const auto end = co_await pair.there.read(buffer);
    CHECK(end == 0U);
  });
}

TEST_CASE("a large read that lost keeps no memory once its octets have been read") {
  detail::kept_octets kept;
  const bytes many(1 << 20);
  bytes into(many.size());
  const std::size_t before = allocated_octets();
  REQUIRE(kept.put_back(many));
  CHECK(kept.take(into) == many.size());
  CHECK(allocated_octets() == before);
}

TEST_CASE("the octets of a TCP write that loses are counted") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pair = co_await connect(loop);
    const bytes all = pattern(16 << 20);
    const auto first = co_await when_any(sleep_for(1ms), pair.here.write(all));
    REQUIRE(first.index == 0);
    const std::uint64_t gone = pair.here.stats().sent_bytes;
    CHECK(gone > 0);
    CHECK(gone < all.size());
    const auto rest = std::span(all).subspan(gone);
    beside writer(loop, [&]() -> task<> {
      const auto sent = co_await pair.here.write(rest);
      CHECK(sent == rest.size());
    });
    const bytes seen = co_await read_exactly(pair.there, all.size());
    CHECK(seen == all);
    co_await writer.join();
  });
}

}  // namespace
