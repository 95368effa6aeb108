// A starved read is armed as soon as the pool has buffers again, also by a host's poll, and also when a spin gives them
// back.

#include <poll.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <deque>

#include "support/case/coroutines.hpp"
#include "support/case/spinning.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"
#include "uring6/datagram_batch.hpp"
#include "uring6/scope.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

task<> read_one(packet_conn& pc, int& count) {
  std::array<std::byte, 16> buffer;
  const auto got = co_await pc.read_from(buffer);
  if (got) ++count;
}

TEST_CASE("after a host's poll no read is starved while the pool has buffers") {
  constexpr int window = 64;  // buffers that the kernel has at first
  event_loop loop;
  std::deque<packet_conn> away;
  std::deque<plain_sender> to_away;
  for (int i = 0; i < 3; ++i) {
    away.push_back(open_conn(loop));
    to_away.emplace_back(name_of(away.back()));
  }
  auto waits = open_conn(loop);
  plain_sender sender(name_of(waits));
  scope tasks(loop);
  int of_away = 0;
  int of_waits = 0;
  for (auto& each : away) tasks.spawn(read_one(each, of_away));
  tasks.spawn(read_one(waits, of_waits));
  const int descriptor = or_throw(loop.descriptor());
  // Polls until no work is left that makes the descriptor readable.
  const auto host = [&] {
    for (;;) {
      const auto next = or_throw(loop.poll());
      pollfd readable{descriptor, POLLIN, 0};
      if (!next && ::poll(&readable, 1, 0) == 0) return;
    }
  };
  host();
  for (auto& each : to_away) each.send(numbered(0));
  host();
  REQUIRE(of_away == 3);
  // The kernel fills its buffers for the three conns without a reader; their reads stay armed. One enter takes in one
  // portion.
  const std::array<int, 3> portions{31, 31, window - 31 - 31};
  for (std::size_t i = 0; i < portions.size(); ++i) {
    for (int k = 0; k < portions[i]; ++k) to_away[i].send(numbered(1));
  }
  sender.send(numbered(1));
  host();
  CHECK(of_waits == 1);
  tasks.request_stop();
  host();
}

/// The reader of `of` begins to wait in a turn of its own, once a datagram has come to `starter`: then a spin reads
/// `of`.
task<> read_after(packet_conn& starter, packet_conn& of) {
  datagram_batch batch;
  const auto count = co_await starter.receive(batch);
  if (!count) co_return;
  batch.clear();
  std::array<std::byte, 16> buffer;
  const auto got = co_await of.read_from(buffer);
  (void)got;
}

TEST_CASE("a spin keeps no buffer that a starved read of the ring needs") {
  event_loop loop(loop_options{.receive_buffers = 2, .spin = 20ms});
  run(loop, [&]() -> task<> {
    auto first = open_conn(loop);
    auto second = open_conn(loop);
    auto waits = open_conn(loop);
    auto starter = open_conn(loop);
    plain_sender sender(name_of(waits));
    plain_sender start(name_of(starter));
    beside reader(loop, read_after(starter, first));
    co_await sleep_for(1ms);
    start.send(numbered(0));
    co_await sleep_for(1ms);
    beside other_reader(loop, read_after(starter, second));
    co_await sleep_for(1ms);
    start.send(numbered(0));
    co_await sleep_for(1ms);
    int count = 0;
    beside waiting(loop, read_one(waits, count));
    sender.send(numbered(1));
    // The timers come more often than a spin lasts, so that no spin ends without news.
    for (int i = 0; i < 1000 && count == 0; ++i) co_await sleep_for(1ms);
    CHECK(count == 1);
  });
}

TEST_CASE("a buffer that a spin gives back before the loop sleeps goes to the starved read") {
  event_loop loop(loop_options{.receive_buffers = 2, .spin = 20ms});
  run(loop, [&]() -> task<> {
    auto spun = open_conn(loop);
    auto waits = open_conn(loop);
    auto starter = open_conn(loop);
    plain_sender sender(name_of(waits));
    plain_sender start(name_of(starter));
    std::optional<beside> reader(std::in_place, loop, read_after(starter, spun));
    co_await sleep_for(1ms);
    start.send(numbered(0));
    co_await sleep_for(1ms);
    start.send(numbered(0));
    datagram_batch lent;
    const auto borrowed = co_await starter.receive(lent);
    REQUIRE(borrowed);
    int count = 0;
    beside waiting(loop, read_one(waits, count));
    sender.send(numbered(1));
    co_await sleep_for(2ms);
    reader.reset();
    co_await waiting.join();
    CHECK(count == 1);
  });
}

}  // namespace
