// The cost of a datagram in the steady state: no allocation, and few system calls.

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <vector>

#include "support/case/allocations.hpp"
#include "support/case/coroutines.hpp"
#include "support/machine/environment.hpp"
#include "support/machine/receive_room.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"
#include "uring6/scope.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

TEST_CASE("reading and writing allocate nothing") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto one = open_conn(loop);
    auto two = open_conn(loop);
    auto ahead = open_conn(loop, {.coalesce_writes = true});
    REQUIRE(two.set_control_message(all_control, true));
    const endpoint there = name_of(two);
    std::array<std::byte, 64> buffer;
    std::vector<write_slot> batch(64, {as_payload("batch"), {}, there, {}});
    std::array<read_slot, 64> into;
    std::array<std::array<std::byte, 16>, 64> room;
    for (std::size_t i = 0; i < into.size(); ++i) into[i].buffer = room[i];
    datagram_batch lent;

    const auto round = [&]() -> task<> {
      for (int i = 0; i < 10; ++i) {
        const auto sent = co_await one.write_to(as_payload("single"), {.traffic_class = 4}, there);
        REQUIRE(sent);
        const auto got = co_await two.read_from(buffer);
        REQUIRE(got);
        const auto back = co_await two.write_to(got->payload, got->control.reply(), got->source);
        REQUIRE(back);
        const auto answer = co_await one.read_from(buffer);
        REQUIRE(answer);
      }
      auto sent = co_await one.write_batch(batch);
      REQUIRE(sent);
      for (std::size_t seen = 0; seen < 64;) {
        const auto count = co_await two.receive(lent);
        REQUIRE(count);
        for (const datagram& each : lent) seen += each.payload.size() == 5;
      }
      lent.clear();
      for (int i = 0; i < 64; ++i) {
        sent = co_await ahead.write_to(as_payload("ahead"), there);
        REQUIRE(sent);
      }
      const auto flushed = co_await ahead.flush();
      REQUIRE(flushed);
      for (std::size_t seen = 0; seen < 64;) {
        const auto count = co_await two.read_batch(into);
        REQUIRE(count);
        seen += *count;
      }
      REQUIRE(one.set_deadline(std::chrono::steady_clock::now() + std::chrono::hours(1)));
      REQUIRE(one.set_deadline({}));
    };
    for (int i = 0; i < 5; ++i) co_await round();
    const allocation_count before;
    for (int i = 0; i < 50; ++i) co_await round();
    CHECK(before.since() == 0);
  });
}

TEST_CASE("an echo costs one system call for each round trip, on a conn that writes ahead and on one that does not") {
  need_io_uring();
  constexpr std::uint64_t trips = 1000;
  event_loop loop;
  run(loop, [&]() -> task<> {
    for (const bool ahead : {true, false}) {
      auto server = open_conn(loop, {.coalesce_writes = ahead});
      const endpoint there = name_of(server);
      beside service(loop, [&]() -> task<> {
        std::array<std::byte, 64> buffer;
        for (;;) {
          const auto got = co_await server.read_from(buffer);
          if (!got) co_return;
          const auto sent = co_await server.write_to(got->payload, got->source);
          REQUIRE(sent);
        }
      });
      // The peer is in the same loop: its own write and read count, too.
      auto client = open_conn(loop, {.coalesce_writes = ahead});
      std::array<std::byte, 64> buffer;
      const auto trip = [&](std::uint64_t number) -> task<> {
        const auto sent = co_await client.write_to(numbered(number), there);
        REQUIRE(sent);
        const auto got = co_await client.read_from(buffer);
        REQUIRE(got);
        REQUIRE(number_in(got->payload) == number);
      };
      for (std::uint64_t i = 0; i < 10; ++i) co_await trip(i);
      const auto calls = loop.stats().system_calls();
      for (std::uint64_t i = 0; i < trips; ++i) co_await trip(i);
      // Two writes and two reads: one call for each direction, and no other.
      CHECK(loop.stats().system_calls() - calls <= 2 * trips + trips / 50);
      REQUIRE(server.close());
      co_await service.join();
    }
  });
}

TEST_CASE("in bulk one system call moves many datagrams") {
  constexpr std::uint64_t count = 20'000;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop, {.coalesce_writes = true});
    auto to = open_conn(loop);
    const endpoint there = name_of(to);
    std::array<std::byte, 64> buffer;
    const auto calls = loop.stats().system_calls();
    for (std::uint64_t i = 0; i < count;) {
      for (int k = 0; k < 500; ++k) {
        const auto sent = co_await from.write_to(numbered(i + static_cast<std::uint64_t>(k)), there);
        REQUIRE(sent);
      }
      for (int k = 0; k < 500; ++k, ++i) {
        const auto got = co_await to.read_from(buffer);
        REQUIRE(got);
        REQUIRE(number_in(got->payload) == i);
      }
    }
    CHECK((loop.stats().system_calls() - calls) * 32 <= count);
    CHECK(to.stats().kernel_drops == 0);
  });
}

TEST_CASE("one system call reads many single datagrams that wait in the socket") {
  constexpr std::uint64_t count = 5'000;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop, {.receive_offload = false});
    need_room_for(count, to);
    plain_sender sender(name_of(to));
    std::array<std::byte, 64> buffer;
    for (std::uint64_t i = 0; i < count; ++i) sender.send(numbered(i));
    const auto calls = loop.stats().system_calls();
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      REQUIRE(number_in(got->payload) == i);
    }
    // By readiness a wait comes before each read of up to 64 datagrams.
    const std::uint64_t least = loop.driver() == loop_driver::readiness ? 16 : 32;
    CHECK((loop.stats().system_calls() - calls) * least <= count);
  });
}

TEST_CASE("one system call reads many conns that have one datagram each") {
  need_io_uring();
  constexpr std::size_t count = 512;
  event_loop loop;
  run(loop, [&]() -> task<> {
    std::vector<packet_conn> conns;
    for (std::size_t i = 0; i < count; ++i) conns.push_back(open_conn(loop, {.receive_buffer = 0}));
    scope readers;
    const auto read = [](packet_conn& from) -> task<> {
      std::array<std::byte, 64> buffer;
      const auto got = co_await from.read_from(buffer);
      REQUIRE(got);
    };
    for (packet_conn& each : conns) readers.spawn(read(each));
    co_await sleep_for(std::chrono::milliseconds(5));  // all datagrams are in the kernel now
    const auto calls = loop.stats().system_calls();
    for (const packet_conn& each : conns) plain_sender(name_of(each)).send("one");
    co_await readers.join();
    CHECK((loop.stats().system_calls() - calls) * 32 <= count);
  });
}

TEST_CASE("an idle conn takes at most 1 KiB of memory and no buffer, never read, read, or with an armed read") {
  constexpr std::size_t count = 256;
  // The pool is so small that the kernel has all buffers but those that are held.
  event_loop loop(loop_options{.receive_buffers = 64});
  run(loop, [&]() -> task<> {
    std::vector<packet_conn> conns;
    conns.reserve(count + 1);
    std::array<std::byte, 64> buffer;
    // The first conn makes what all conns share.
    conns.push_back(open_conn(loop));
    const endpoint first = name_of(conns.front());
    const auto self = co_await conns.front().write_to(as_payload("first"), first);
    REQUIRE(self);
    const auto got = co_await conns.front().read_from(buffer);
    REQUIRE(got);

    auto before = allocated_octets();
    const auto each = [&] { return (allocated_octets() - before) / count; };
    for (std::size_t i = 0; i < count; ++i) conns.push_back(open_conn(loop));
    INFO("opened: " << each() << " octets each");
    CHECK(each() > 0);
    CHECK(each() <= 1024);

    // A read that has ended leaves the multishot read armed.
    for (packet_conn& pc : conns) {
      const endpoint there = name_of(pc);
      const auto sent = co_await conns.front().write_to(as_payload("wake"), there);
      REQUIRE(sent);
      const auto woken = co_await pc.read_from(buffer);
      REQUIRE(woken);
    }
    co_await yield();
    INFO("with an armed read: " << each() << " octets each");
    // By readiness the request of the armed read is in this process's memory, not in the kernel's.
    CHECK(each() <= (loop.driver() == loop_driver::readiness ? 1152 : 1024));
    const auto pool = or_throw(loop.core()->pool(detail::buffer_class::large));
    co_await until([&] { return pool->available() == pool->count(); });
  });
}

}  // namespace
