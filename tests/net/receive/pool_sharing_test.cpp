// All conns of a loop share its buffers and its turns: no conn starves.

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <deque>
#include <optional>
#include <set>
#include <vector>

#include "support/machine/environment.hpp"
#include "support/case/coroutines.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

TEST_CASE("reading goes on while most of the pool is lent") {
  event_loop loop(loop_options{.receive_buffers = 4});
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    plain_sender sender(name_of(at));
    std::vector<datagram_batch> kept(3);
    for (auto& each : kept) {
      sender.send("kept");
      const auto count = co_await at.receive(each);
      REQUIRE(count);
    }
    // One buffer is left. Reading is slow with it, and goes on.
    for (std::uint64_t i = 0; i < 100; ++i) sender.send(numbered(i));
    std::array<std::byte, 16> buffer;
    for (std::uint64_t i = 0; i < 100; ++i) {
      const auto got = co_await at.read_from(buffer);
      REQUIRE(got);
      REQUIRE(number_in(got->payload) == i);
    }
  });
}

// Before Linux 6.8 one read takes every buffer that the kernel has.
TEST_CASE("a conn with hundreds of datagrams always waiting leaves its neighbor its turn") {
  constexpr std::uint64_t rounds = 20;
  const std::uint64_t waiting = GENERATE(100U, 300U, 2000U);
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto flooded = open_conn(loop);
    auto quiet = open_conn(loop);
    plain_sender flood(name_of(flooded));
    plain_sender drop(name_of(quiet));
    bool done = false;
    std::uint64_t of_flood = 0;
    beside reader(loop, [&]() -> task<> {
      std::array<std::byte, 16> buffer;
      std::uint64_t sent = 0;
      while (!done) {
        for (; sent < of_flood + waiting; ++sent) flood.send("flood");
        const auto got = co_await flooded.read_from(buffer);
        REQUIRE(got);
        ++of_flood;
      }
    });
    std::array<std::byte, 16> buffer;
    for (std::uint64_t i = 0; i < rounds; ++i) {
      drop.send(numbered(i));
      const std::uint64_t before = of_flood;
      const auto got = co_await quiet.read_from(buffer);
      REQUIRE(got);
      REQUIRE(number_in(got->payload) == i);
      // Three rounds of the pool: the flooded conn's backlog, what its armed read takes, and what that read takes until
      // the neighbor's starved read is armed again.
      CHECK(of_flood - before <= 3 * loop_options{}.receive_buffers);
    }
    done = true;
    co_await reader.join();
  });
}

TEST_CASE("a reader goes on once a batch that held the whole pool comes back") {
  event_loop loop(loop_options{.receive_buffers = 2});
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    plain_sender sender(name_of(at));
    std::optional<datagram_batch> kept[2];
    for (auto& each : kept) {
      each.emplace();
      sender.send("kept");
      const auto count = co_await at.receive(*each);
      REQUIRE(count);
    }
    sender.send("waits in the socket");
    beside reader(loop, [&]() -> task<> {
      std::array<std::byte, 64> buffer;
      const auto got = co_await at.read_from(buffer);
      REQUIRE(got);
      CHECK(as_text(got->payload) == "waits in the socket");
    });
    co_await sleep_for(2ms);
    CHECK_FALSE(reader.ended());
    kept[0].reset();
    co_await reader.join();
  });
}

// --- one conn's backlog and the others ---

TEST_CASE("conns whose readers are away do not keep the buffers from one that reads") {
  need_io_uring();
  event_loop loop(loop_options{.receive_buffers = 8});
  run(loop, [&]() -> task<> {
    std::deque<packet_conn> away;
    std::deque<plain_sender> senders;
    for (int i = 0; i < 4; ++i) {
      away.push_back(open_conn(loop));
      senders.emplace_back(name_of(away.back()));
    }
    auto busy = open_conn(loop);
    plain_sender to_busy(name_of(busy));
    std::array<std::byte, 16> buffer;
    // Each conn reads once, so that its read is armed, and stops reading; then the floods come.
    for (std::size_t i = 0; i < away.size(); ++i) {
      senders[i].send(numbered(0));
      const auto got = co_await away[i].read_from(buffer);
      REQUIRE(got);
    }
    for (auto& each : senders) {
      for (std::uint64_t i = 1; i <= 200; ++i) each.send(numbered(i));
    }
    to_busy.send(numbered(0));
    // Nothing else happens in the loop: no timer and no other packet wakes it.
    const auto got = co_await busy.read_from(buffer);
    REQUIRE(got);
    for (std::uint64_t i = 1; i <= 1000; ++i) {
      to_busy.send(numbered(i));
      const auto more = co_await busy.read_from(buffer);
      REQUIRE(more);
      REQUIRE(number_in(more->payload) == i);
    }
    // The conns without a reader lose nothing: their readers find everything later, copied or lent.
    datagram_batch batch;
    for (auto& each : away) {
      for (std::uint64_t i = 1; i <= 200;) {
        if (i % 2) {
          const auto late = co_await each.read_from(buffer);
          REQUIRE(late);
          REQUIRE(number_in(late->payload) == i++);
          continue;
        }
        const auto lent = co_await each.receive(batch);
        REQUIRE(lent);
        for (const datagram& late : batch) {
          REQUIRE(number_in(late.payload) == i++);
          REQUIRE(late.full_length == 8);
        }
      }
      CHECK(each.stats().kernel_drops == 0);
    }
    batch.clear();
    const pool_stats pool = loop.pools()[1];
    CHECK(pool.moved_out > 0);
    CHECK(pool.in_use == 0);
  });
}

TEST_CASE("the memory of moved-out backlogs is bounded, and datagrams beyond the bound are counted") {
  need_io_uring();
  const std::size_t limit = GENERATE(std::size_t{0}, std::size_t{4096});
  constexpr std::uint64_t of_each = 50;
  event_loop loop(loop_options{.receive_buffers = 8, .moved_out_limit = limit});
  run(loop, [&]() -> task<> {
    std::deque<packet_conn> away;
    std::deque<plain_sender> senders;
    for (int i = 0; i < 4; ++i) {
      away.push_back(open_conn(loop));
      senders.emplace_back(name_of(away.back()));
    }
    auto busy = open_conn(loop);
    plain_sender to_busy(name_of(busy));
    std::array<std::byte, 1200> buffer{};
    for (std::size_t i = 0; i < away.size(); ++i) {
      senders[i].send(buffer);
      const auto got = co_await away[i].read_from(buffer);
      REQUIRE(got);
    }
    for (auto& each : senders) {
      for (std::uint64_t i = 0; i < of_each; ++i) each.send(buffer);
    }
    for (std::uint64_t i = 0; i < 200; ++i) {
      to_busy.send(numbered(i));
      const auto got = co_await busy.read_from(buffer);
      REQUIRE(got);
      REQUIRE(number_in(got->payload) == i);
      for (const pool_stats& pool : loop.pools()) CHECK(pool.moved_out_bytes <= limit);
    }
    std::uint64_t received = 0;
    std::uint64_t discarded = 0;
    for (packet_conn& each : away) {
      while (each.stats().received_datagrams + each.stats().discarded + each.stats().kernel_drops < of_each + 1) {
        const auto got = co_await each.read_from(buffer);
        REQUIRE(got);
        ++received;
      }
      discarded += each.stats().discarded;
    }
    CHECK(discarded > 0);
    CHECK(received + discarded == away.size() * of_each);
    CHECK(loop.pools()[1].not_moved_out == discarded);
    away.clear();
    CHECK(loop.pools()[1].moved_out_bytes == 0);
  });
}

TEST_CASE("a flooded conn does not starve its neighbor") {
  const auto spin = GENERATE(0us, 500us);
  event_loop loop(loop_options{.spin = spin});
  run(loop, [&]() -> task<> {
    auto flooded = open_conn(loop);
    auto quiet = open_conn(loop);
    plain_sender flood(name_of(flooded));
    plain_sender drop(name_of(quiet));
    bool done = false;
    std::uint64_t read_of_flood = 0;
    beside busy(loop, [&]() -> task<> {
      std::array<std::byte, 16> buffer;
      std::uint64_t ahead = 0;
      while (!done) {
        for (; ahead < read_of_flood + 2000; ++ahead) flood.send("flood");  // the flooded socket is never empty
        const auto got = co_await flooded.read_from(buffer);
        REQUIRE(got);
        ++read_of_flood;
      }
    });
    std::array<std::byte, 16> buffer;
    for (std::uint64_t i = 0; i < 50; ++i) {
      drop.send(numbered(i));
      const std::uint64_t before = read_of_flood;
      const auto got = co_await quiet.read_from(buffer);
      REQUIRE(got);
      REQUIRE(number_in(got->payload) == i);
      CHECK(read_of_flood - before < 4000);
    }
    done = true;
    co_await busy.join();
  });
}

TEST_CASE("a reader that always finds data does not starve a coroutine that has to wait for the kernel") {
  event_loop loop(loop_options{.budget = 16});
  run(loop, [&]() -> task<> {
    auto flooded = open_conn(loop);
    plain_sender flood(name_of(flooded));
    bool done = false;
    beside greedy(loop, [&]() -> task<> {
      std::array<std::byte, 16> buffer;
      const bytes train(16 * 100);
      std::uint64_t i = 0;
      while (!done) {
        if (i++ % 50 == 0) flood.send_train(train, 16);  // twice as much as this coroutine reads
        const auto got = co_await flooded.read_from(buffer);
        REQUIRE(got);
        if (flooded.stats().kernel_drops > 0) co_return;  // the sleeper below never got a turn
      }
    });
    const auto slept = co_await sleep_for(1ms);
    CHECK(slept);
    CHECK_FALSE(greedy.ended());
    done = true;
    co_await greedy.join();
  });
}

// The kernel takes buffers in the order in which it got them. It has 64 at first, and the buffer that a reader gives
// back is the next one that the kernel gets.
TEST_CASE("a light load uses the same few buffers again, not all of the pool") {
  event_loop loop(loop_options{.receive_buffers = 256});
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop);
    auto to = open_conn(loop);
    const endpoint there = name_of(to);
    datagram_batch batch;
    std::set<const std::byte*> touched;
    for (int i = 0; i < 1000; ++i) {
      const auto sent = co_await from.write_to(as_payload("light"), there);
      REQUIRE(sent);
      const auto got = co_await to.receive(batch);
      REQUIRE(got);
      for (const datagram& each : batch) touched.insert(each.payload.data());
    }
    CHECK(touched.size() <= 65);  // the lent buffer, and the kernel's 64
  });
}

TEST_CASE("a pool counts the buffers that the kernel has, and those that are lent") {
  event_loop loop(loop_options{.receive_buffers = 16});
  for (const pool_stats& each : loop.pools()) CHECK(each.buffers == 0);  // a pool is made when a conn needs it
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop, {.receive_offload = false, .longest_datagram = 100});
    auto large = open_conn(loop);
    plain_sender sender(name_of(at));
    for (std::uint64_t i = 0; i < 5; ++i) sender.send(numbered(i));
    std::size_t seen = 0;
    {
      std::vector<datagram_batch> lent(5);
      while (seen < 5) {
        const auto got = co_await at.receive(lent[seen]);
        REQUIRE(got);
        seen += *got;
      }
      const pool_stats small = loop.pools()[0];
      CHECK(small.buffers == 16);
      CHECK(small.buffer_size == 2048);
      CHECK(small.filled == 5);
      CHECK(small.in_use == 5);
      CHECK(small.in_kernel <= 11);
      CHECK(small.exhausted == 0);
    }
    const auto yielded = co_await sleep_for(0s);
    REQUIRE(yielded);
    CHECK(loop.pools()[0].in_use == 0);
    CHECK(loop.pools()[0].filled == 5);
    CHECK(loop.pools()[1].buffers == 0);

    plain_sender(name_of(large)).send("to a conn that takes any datagram");
    std::array<std::byte, 64> buffer;
    const auto got = co_await large.read_from(buffer);
    REQUIRE(got);
    CHECK(loop.pools()[1].filled == 1);
    CHECK(loop.pools()[1].buffer_size > 65'535);
  });
}

}  // namespace
