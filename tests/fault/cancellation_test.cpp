// Storms of cancellations against datagrams that arrive: each read ends once, and each datagram is read once.
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstdint>
#include <random>
#include <thread>
#include <variant>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/environment.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"
#include "uring6/scope.hpp"
#include "uring6/when_any.hpp"
#include "uring6/with_timeout.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

/// A thread that sends numbered datagrams, never more than a few hundred ahead of their reader, so that none is
/// dropped.
class stream {
 public:
  stream(const endpoint& to, std::uint64_t count) : sender_(to), count_(count), thread_([this] { send(); }) {}
  stream(const stream&) = delete;
  stream& operator=(const stream&) = delete;
  ~stream() {
    given_up_ = true;
    thread_.join();
  }

  /// Called for each datagram that is read: checks that each comes once and in order.
  void note(std::span<const std::byte> payload) {
    REQUIRE(number_in(payload) == read_.load());
    ++read_;
  }
  bool over() const noexcept { return read_ == count_; }

 private:
  void send() {
    std::minstd_rand random(1);
    for (std::uint64_t number = 0; number < count_ && !given_up_; ++number) {
      while (number - read_ > 300 && !given_up_) std::this_thread::yield();
      // Catch2's assertions belong to the main thread.
      if (!sender_.try_send(numbered(number))) return;
      if (random() % 32 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 100));
    }
  }

  plain_sender sender_;
  std::uint64_t count_;
  std::atomic<std::uint64_t> read_{0};
  std::atomic<bool> given_up_{false};
  std::thread thread_;
};

struct outcome_counts {
  int datagrams = 0;
  int given_up = 0;
};

TEST_CASE("reads that are stopped at any moment while datagrams arrive lose none of them", "[threads]") {
  need_ipv6();
  constexpr std::uint64_t count = 30'000;
  for (const loop_options& options :
       {loop_options{},
        loop_options{.submission_entries = 1, .completion_entries = 1, .receive_buffers = 2, .budget = 1}}) {
    event_loop loop(options);
    run(loop, [&]() -> task<> {
      auto at = open_conn(loop);
      stream incoming_ones(name_of(at), count);
      std::array<std::byte, 16> buffer;
      std::minstd_rand random(2);
      outcome_counts any;
      outcome_counts timed;
      while (!incoming_ones.over()) {
        const auto pause = std::chrono::nanoseconds(random() % 4 == 0 ? 0 : random() % 50'000);
        if (random() % 2 == 0) {
          const auto first = co_await when_any(at.read_from(buffer), sleep_for(pause));
          if (first.index == 1) {
            ++any.given_up;
            continue;
          }
          const auto& got = std::get<0>(first.value);
          REQUIRE(got);
          ++any.datagrams;
          incoming_ones.note(got->payload);
        } else {
          const auto got = co_await with_timeout(pause, at.read_from(buffer));
          if (!got) {
            REQUIRE(got.error() == errc::deadline_exceeded);
            ++timed.given_up;
            continue;
          }
          ++timed.datagrams;
          incoming_ones.note(got->payload);
        }
      }
      CHECK(any.datagrams + timed.datagrams == count);
      CHECK(any.given_up > 0);
      CHECK(timed.given_up > 0);
      CHECK(at.stats().kernel_drops == 0);
    });
  }
}

TEST_CASE("of a thousand readers that are stopped at once, each has a datagram or was canceled") {
  need_ipv6();
  constexpr int readers = 1000;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    plain_sender sender(name_of(at));
    std::uint64_t sent = 0;
    std::uint64_t read = 0;
    int ended = 0;
    int canceled = 0;
    const auto reader = [&]() -> task<> {
      std::array<std::byte, 16> buffer;
      const auto got = co_await at.read_from(buffer);
      ++ended;
      if (got) {
        REQUIRE(number_in(got->payload) == read);
        ++read;
      } else {
        REQUIRE(got.error() == errc::canceled);
        ++canceled;
      }
    };
    for (int round = 0; round < 40; ++round) {
      ended = canceled = 0;
      const std::uint64_t read_before = read;
      stop_source stop;
      scope all(stop.get_token());
      for (int i = 0; i < readers; ++i) all.spawn(reader());
      for (int i = 0; i < round % 4; ++i) co_await yield();
      for (int i = 0; i < round * 10; ++i) sender.send(numbered(sent++));
      for (int i = 0; i < round % 3; ++i) co_await yield();
      stop.request_stop();
      co_await all.join();
      REQUIRE(ended == readers);
      REQUIRE(canceled + static_cast<int>(read - read_before) == readers);
      // The next reads find the datagrams that no stopped reader took.
      while (read < sent) co_await reader();
    }
    CHECK(at.stats().received_datagrams == sent);
    CHECK(at.stats().kernel_drops == 0);
  });
}

}  // namespace
