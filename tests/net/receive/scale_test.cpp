// Large numbers and long runs: ten million rounds with `tools/test --long`.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstdint>

#include "support/case/coroutines.hpp"
#include "support/process/long_run.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"
#include "uring6/scope.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_any.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

TEST_CASE("scale: a scope of 100,000 sleepers starts and stops") {
  constexpr int count = 100'000;
  event_loop loop;
  int begun = 0;
  int canceled = 0;
  const auto sleeper = [&]() -> task<> {
    ++begun;
    const auto slept = co_await sleep_for(1h);
    if (!slept && slept.error() == errc::canceled) ++canceled;
  };
  run(loop, [&]() -> task<> {
    scope all;
    for (int i = 0; i < count; ++i) all.spawn(sleeper());
    co_await until([&] { return begun == count; });
    CHECK(all.running() == count);
    all.request_stop();
    co_await all.join();
    CHECK(all.running() == 0);
  });
  CHECK(canceled == count);
}

// The timer is due at about the time of the datagram, so that each of them wins often. The datagrams are counted and
// numbered.
TEST_CASE("scale: when_any of a read and a timer loses no datagram", "[long]") {
  const std::uint64_t rounds = long_run() ? 10'000'000 : 30'000;
  event_loop loop;
  packet_conn pc = open_conn(loop);
  plain_sender sender(name_of(pc));
  const auto main = [&]() -> task<> {
    std::array<std::byte, 64> buffer{};
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    std::uint64_t reads_won = 0;
    std::uint64_t timers_won = 0;
    for (std::uint64_t round = 0; round < rounds || received < sent; ++round) {
      if (sent < rounds && sent - received < 8) {
        const numbered payload(sent++);
        sender.send(std::span<const std::byte>(payload));
      }
      const auto wait = std::chrono::nanoseconds((round * 7919) % 3000);
      const auto first = co_await when_any(pc.read_from(buffer), sleep_for(wait));
      if (first.index == 1) {
        ++timers_won;
        continue;
      }
      ++reads_won;
      const auto& got = std::get<0>(first.value);
      if (!got || number_in(got->payload) != received) FAIL("datagram " << received << " is missing");
      ++received;
    }
    CHECK(received == sent);
    CHECK(sent > 0);
    CHECK(reads_won > 0);
    CHECK(timers_won > 0);
  };
  loop.run(main());  // without a watchdog: the long run takes minutes
}

}  // namespace
