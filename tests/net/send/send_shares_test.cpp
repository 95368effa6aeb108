// The trains and the slab that the conns of a loop share: no conn keeps another from sending, whatever happens to its
// own datagrams.

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

constexpr std::size_t trains_of_a_conn = 64;
constexpr std::size_t conns_of_the_pool = 8;  // so many conns can hold all trains of the pool

struct crossing {
  packet_conn open(const packet_options& options = {}) {
    return cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0", options)); });
  }
  endpoint at_port(std::uint16_t port) const { return {cable.far.address, port}; }

  veth_pair cable;
  event_loop loop;
};

/// Datagrams that were sent stay in the link's queue, and count against the small send buffers.
struct blocked_link : crossing {
  blocked_link() {
    cable.near.space.run([&] { limit_rate(cable.near.link.index, 1); });
  }
  packet_conn open(packet_options options = {}) {
    if (!options.send_buffer) options.send_buffer = 16 * 1024;
    return crossing::open(options);
  }
  void let_go() {
    cable.near.space.run([&] { drop_queue(cable.near.link.index); });
  }
};

/// Each pair of equal datagrams has a port of its own, so that each pair is a train.
std::uint16_t port_of_pair(std::size_t pair) {
  return static_cast<std::uint16_t>(1000 + pair);
}
std::vector<write_slot> pairs(std::size_t count, std::span<const std::byte> payload, const crossing& link) {
  std::vector<write_slot> batch;
  for (std::size_t i = 0; i < count; ++i) {
    for (int twice = 0; twice < 2; ++twice) batch.push_back({payload, {}, link.at_port(port_of_pair(i)), {}});
  }
  return batch;
}

/// An echo between two conns of this loop.
task<> exchange(event_loop& loop, std::size_t count) {
  auto one = open_conn(loop);
  auto two = open_conn(loop);
  const endpoint there = name_of(two);
  std::array<std::byte, 16> buffer;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto sent = co_await one.write_to(numbered(i), there);
    REQUIRE(sent);
    const auto got = co_await two.read_from(buffer);
    REQUIRE(got);
    REQUIRE(number_in(got->payload) == i);
  }
}

TEST_CASE("a route may refuse all trains of the pool: each datagram is sent, once") {
  crossing link;
  run(link.loop, [&]() -> task<> {
    const bytes payload = counting(2000);  // longer than the cable's MTU
    constexpr std::size_t writers = conns_of_the_pool + 1;
    std::vector<packet_conn> from;
    for (std::size_t i = 0; i < writers; ++i) from.push_back(link.open());
    std::vector<std::vector<write_slot>> batches(writers, pairs(trains_of_a_conn, payload, link));
    std::vector<result<std::size_t>> outcomes(writers);
    std::deque<beside> all;
    for (std::size_t i = 0; i < writers; ++i) {
      all.emplace_back(link.loop, [&, i]() -> task<> { outcomes[i] = co_await from[i].write_batch(batches[i]); });
    }
    for (beside& each : all) co_await each.join();
    std::uint64_t refused = 0;
    for (std::size_t i = 0; i < writers; ++i) {
      REQUIRE(outcomes[i]);
      CHECK(*outcomes[i] == 2 * trains_of_a_conn);
      CHECK(from[i].stats().sent_datagrams == 2 * trains_of_a_conn);
      CHECK(from[i].stats().failed_datagrams == 0);
      refused += from[i].stats().refused_trains;
    }
    // all trains of the pool must have been refused for this case to test anything
    CHECK(refused >= conns_of_the_pool * trains_of_a_conn);
  });
}

TEST_CASE("half of the writers of every train may stop while it waits for room: the datagrams of the others are sent") {
  blocked_link link;
  run(link.loop, [&]() -> task<> {
    const bytes payload = counting(1000);
    std::vector<packet_conn> from;
    for (std::size_t i = 0; i < conns_of_the_pool; ++i) from.push_back(link.open());
    struct writer {
      std::optional<result<std::size_t>> outcome;
      std::unique_ptr<beside> whole;
    };
    // The first pairs of each conn still find room.
    constexpr std::size_t pairs_of_a_conn = trains_of_a_conn + 40;
    std::deque<writer> writers;
    for (packet_conn& conn : from) {
      for (std::size_t i = 0; i < 2 * pairs_of_a_conn; ++i) {
        writer& one = writers.emplace_back();
        const endpoint there = link.at_port(port_of_pair(i / 2));
        one.whole = std::make_unique<beside>(
            link.loop, [&, there]() -> task<> { one.outcome = co_await conn.write_to(payload, there); });
      }
    }
    co_await until([&] {
      return std::ranges::all_of(from, [](const auto& each) { return each.stats().parked_sends >= trains_of_a_conn; });
    });
    for (std::size_t i = 0; i < writers.size(); i += 2) writers[i].whole->request_stop();
    std::size_t canceled = 0;
    for (std::size_t i = 0; i < writers.size(); i += 2) {
      co_await writers[i].whole->join();
      REQUIRE(writers[i].outcome);
      if (*writers[i].outcome) continue;
      CHECK(writers[i].outcome->error() == errc::canceled);
      ++canceled;
    }
    CHECK(canceled >= conns_of_the_pool * trains_of_a_conn);
    co_await exchange(link.loop, 10);
    link.let_go();
    for (std::size_t i = 1; i < writers.size(); i += 2) {
      co_await writers[i].whole->join();
      REQUIRE(writers[i].outcome);
      CHECK(*writers[i].outcome);
    }
  });
}

TEST_CASE("conns with parked sends in all trains of the pool keep no other conn from sending") {
  blocked_link link;
  run(link.loop, [&]() -> task<> {
    const bytes payload = counting(1000);
    const std::vector<write_slot> batch(3 * trains_of_a_conn, {payload, {}, link.at_port(9), {}});
    std::vector<packet_conn> stuck;
    for (std::size_t i = 0; i < conns_of_the_pool; ++i) stuck.push_back(link.open({.send_offload = false}));
    std::deque<std::vector<write_slot>> batches(stuck.size(), batch);
    std::deque<beside> writers;
    for (std::size_t i = 0; i < stuck.size(); ++i) {
      writers.emplace_back(link.loop, [&, i]() -> task<> { (void)co_await stuck[i].write_batch(batches[i]); });
    }
    co_await until([&] {
      return std::ranges::all_of(stuck, [](const auto& each) { return each.stats().parked_sends >= trains_of_a_conn; });
    });
    co_await exchange(link.loop, 10);

    // The other conn sends more than one train at a time, written ahead and not.
    auto to = open_conn(link.loop);
    for (const bool ahead : {false, true}) {
      auto from = open_conn(link.loop, {.send_offload = false, .coalesce_writes = ahead});
      std::vector<write_slot> some(10, {as_payload("some"), {}, name_of(to), {}});
      const auto sent = co_await from.write_batch(some);
      REQUIRE(sent);
      CHECK(*sent == 10);
      const auto flushed = co_await from.flush();
      CHECK(flushed);
      CHECK(from.stats().sent_datagrams == 10);
    }
    for (const beside& each : writers) CHECK_FALSE(each.ended());
  });
}

TEST_CASE("conns that want more trains than the pool has get about equal shares") {
  event_loop loop(loop_options{.submission_entries = 1024});  // all datagrams of a turn leave with one enter
  run(loop, [&]() -> task<> {
    constexpr std::size_t count = 40 * trains_of_a_conn;
    constexpr std::size_t writers = conns_of_the_pool + 2;
    auto to = open_conn(loop);
    std::vector<packet_conn> from;
    for (std::size_t i = 0; i < writers; ++i) from.push_back(open_conn(loop, {.send_offload = false}));
    std::deque<std::vector<write_slot>> batches(writers,
                                                std::vector<write_slot>(count, {as_payload("x"), {}, name_of(to), {}}));
    std::optional<std::uint64_t> slowest;  // how many the slowest conn had sent when the fastest one was through
    std::deque<beside> all;
    for (std::size_t i = 0; i < writers; ++i) {
      all.emplace_back(loop, [&, i]() -> task<> {
        const auto sent = co_await from[i].write_batch(batches[i]);
        REQUIRE(sent);
        CHECK(*sent == count);
        if (slowest) co_return;
        slowest = count;
        for (const packet_conn& each : from) slowest = std::min(*slowest, each.stats().sent_datagrams);
      });
    }
    for (beside& each : all) co_await each.join();
    CHECK(*slowest * 2 >= count);
  });
}

TEST_CASE("parked conns that write ahead leave the slab to others, and writes without it are sent, too") {
  constexpr std::size_t written_ahead = 32;  // datagrams of 60,000 octets in eight blocks of 256 KiB
  blocked_link link;
  run(link.loop, [&]() -> task<> {
    const bytes payload = counting(60'000);
    std::deque<packet_conn> stuck;
    std::deque<std::size_t> written;
    std::deque<beside> writers;
    // Two payloads in turn: of equal ones, one after the other, the slab keeps a single copy.
    const bytes other = counting(60'000, 1);
    const auto add = [&] {
      packet_conn& conn = stuck.emplace_back(link.open({.send_buffer = 64 * 1024, .coalesce_writes = true}));
      std::size_t& count = written.emplace_back(0);
      writers.emplace_back(link.loop, [&]() -> task<> {
        for (;;) {
          const auto sent = co_await conn.write_to(count % 2 == 0 ? payload : other, link.at_port(9));
          if (!sent) co_return;
          ++count;
        }
      });
    };
    const auto are_stuck = [&] {
      return std::ranges::all_of(written, [](std::size_t each) { return each >= written_ahead; });
    };
    auto to = open_conn(link.loop);
    auto from = open_conn(link.loop, {.coalesce_writes = true});
    const auto write_one = [&]() -> task<> {
      const auto sent = co_await from.write_to(as_payload("one"), name_of(to));
      REQUIRE(sent);
    };

    for (int i = 0; i < 7; ++i) add();
    co_await until(are_stuck);
    co_await write_one();
    CHECK(from.stats().sent_datagrams == 0);  // the slab had room, so that the datagram was copied
    auto flushed = co_await from.flush();
    CHECK(flushed);
    CHECK(from.stats().sent_datagrams == 1);

    add();
    co_await until(are_stuck);
    co_await write_one();
    CHECK(from.stats().sent_datagrams == 2);  // the datagram was sent from the writer's own memory
    std::vector<write_slot> batch(300, {as_payload("some"), {}, name_of(to), {}});
    const auto sent = co_await from.write_batch(batch);
    REQUIRE(sent);
    CHECK(*sent == 300);
    flushed = co_await from.flush();
    CHECK(flushed);
    CHECK(from.stats().sent_datagrams == 302);
    for (const beside& each : writers) CHECK_FALSE(each.ended());
    std::array<std::byte, 16> buffer;
    for (int i = 0; i < 302; ++i) {
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      CHECK(as_text(got->payload) == (i < 2 ? "one" : "some"));
    }
  });
}

}  // namespace
