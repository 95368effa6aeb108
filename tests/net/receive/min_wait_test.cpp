// Datagrams for a loop that waits until several completions have gathered.

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <thread>

#include "support/case/coroutines.hpp"
#include "support/machine/receive_room.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

// The kernel counts a socket as one completion, however many datagrams it has: a wait for several would never end.
TEST_CASE("datagrams of one socket end the sleep of a loop that lets completions gather", "[threads]") {
  constexpr std::uint64_t count = 2'000;
  event_loop loop(loop_options{.min_wait = 2ms});
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop, {.receive_offload = false});
    need_room_for(count, to);
    const endpoint there = name_of(to);
    std::array<std::byte, 64> buffer;
    {
      plain_sender one(there);
      one.send(numbered(0));  // waits in the socket
      const auto queued = co_await to.read_from(buffer);
      REQUIRE(queued);
      one.send(numbered(1));  // while the read is armed
      const auto armed = co_await to.read_from(buffer);
      REQUIRE(armed);
    }
    const auto enters = loop.stats().enters;
    bool all_sent = true;
    std::jthread sender([&] {
      plain_sender from(there);
      for (std::uint64_t i = 0; i < count; ++i) all_sent &= from.try_send(numbered(i));
    });
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      REQUIRE(number_in(got->payload) == i);
    }
    sender.join();
    CHECK(all_sent);
    if (loop.core()->ring().features().min_wait) CHECK((loop.stats().enters - enters) * 4 <= count);
    CHECK(to.stats().kernel_drops == 0);
  });
}

}  // namespace
