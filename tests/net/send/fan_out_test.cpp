// Datagrams that go to many destinations in turn leave as a train for each destination. Each peer gets its datagrams in
// order, each with its own length and control message, and each message of a batch has its own result.

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "net/kernel/segment_limit.hpp"
#include "support/case/allocations.hpp"
#include "support/case/coroutines.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/receive_room.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/crowd.hpp"
#include "support/traffic/error_reports.hpp"
#include "support/traffic/read_all.hpp"
#include "uring6/scope.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

TEST_CASE("fan-out: a batch that goes to its destinations in turn leaves as one train for each, by one call") {
  for (const std::size_t count : {std::size_t{8}, trains_of_a_conn}) {
    CAPTURE(count);
    crowd all(count);
    run(all.loop, [&]() -> task<> {
      auto from = open_conn(all.loop);
      auto batch = all.in_turn();
      for (std::uint64_t round = 1; round <= 2; ++round) {
        const auto sent = co_await from.write_batch(batch);
        CHECK(sent == batch.size());
        CHECK(from.stats().sent_trains == round * count);
        CHECK(from.stats().sent_datagrams == round * batch.size());
        CHECK(all.loop.stats().sends == round);
        for (packet_conn& each : all.peers) co_await expect_packets(each);
      }
    });
  }
}

TEST_CASE("fan-out: more destinations than a conn has trains get all datagrams, each in order") {
  for (const std::size_t count : {trains_of_a_conn + 1, 2 * trains_of_a_conn}) {
    CAPTURE(count);
    crowd all(count);
    run(all.loop, [&]() -> task<> {
      auto from = open_conn(all.loop);
      auto batch = all.in_turn();
      const auto sent = co_await from.write_batch(batch);
      CHECK(sent == batch.size());
      for (packet_conn& each : all.peers) co_await expect_packets(each);
      CHECK(from.stats().sent_datagrams == batch.size());
    });
  }
}

TEST_CASE("fan-out: ten thousand destinations in one batch, and some of them again and again") {
  constexpr std::size_t strangers = 10'000;
  crowd all(5);
  run(all.loop, [&]() -> task<> {
    auto from = open_conn(all.loop);
    std::vector<write_slot> batch;
    std::vector<std::uint64_t> next(all.peers.size(), 0);
    for (std::size_t i = 0; i < strangers; ++i) {
      const auto port = static_cast<std::uint16_t>(20'000 + i);  // no socket listens there
      const bool is_peers = std::ranges::any_of(all.names, [&](const endpoint& each) { return each.port == port; });
      if (!is_peers) batch.push_back({as_payload("stranger"), {}, {ip_address::loopback(), port}, {}});
      const std::size_t peer = i % all.peers.size();
      if (i % 100 < 7 && next[peer] < packets_for_each)
        batch.push_back({all.numbers[next[peer]++], {}, all.names[peer], {}});
    }
    const auto sent = co_await from.write_batch(batch);
    CHECK(sent == batch.size());
    CHECK(from.stats().failed_datagrams == 0);
    for (std::size_t i = 0; i < all.peers.size(); ++i) co_await expect_packets(all.peers[i], 0, next[i]);
  });
}

TEST_CASE("fan-out: each message of a batch has its own result") {
  crowd all(trains_of_a_conn);
  run(all.loop, [&]() -> task<> {
    auto from = open_conn(all.loop);
    auto batch = all.in_turn();
    const std::vector<std::byte> too_much(max_udp_payload + 1);
    const auto expected = [&](std::size_t i) -> std::error_code {
      if (i % 61 == 5) return errc::too_long;
      if (i % 61 == 7) return errc::unknown_zone;
      if (i % 61 == 11) return errc::out_of_range;
      if (i % 64 == 9) return {EINVAL, std::system_category()};  // the ninth peer's port is 0
      return {};
    };
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (i % 64 == 9) batch[i].destination.port = 0;
      if (i % 61 == 5) batch[i].payload = too_much;
      if (i % 61 == 7) batch[i].destination.address = ip_address::loopback().with_zone(0x7fff'fff0);
      if (i % 61 == 11) batch[i].control.hop_limit = 300;
      batch[i].error = errc::canceled;  // of an earlier write
    }
    const auto sent = co_await from.write_batch(batch);
    REQUIRE(sent);
    std::size_t good = 0;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      CAPTURE(i);
      CHECK(batch[i].error == expected(i));
      if (!batch[i].error) ++good;
    }
    CHECK(*sent == good);
    CHECK(from.stats().sent_datagrams == good);
    CHECK(from.stats().failed_datagrams == batch.size() - good);
    std::array<std::byte, 64> buffer;
    for (std::size_t peer = 0; peer < all.peers.size(); ++peer) {
      for (std::size_t i = peer; i < batch.size(); i += all.peers.size()) {
        if (batch[i].error) continue;
        const auto got = co_await all.peers[peer].read_from(buffer);
        REQUIRE(got);
        REQUIRE(number_in(got->payload) == i / all.peers.size());
      }
    }
  });
}

TEST_CASE("fan-out: single writes of coroutines to the same destinations share trains") {
  crowd all(8);
  run(all.loop, [&]() -> task<> {
    auto from = open_conn(all.loop);
    scope writers;
    for (const numbered& number : all.numbers) {
      for (const endpoint& peer : all.names) {
        writers.spawn([](packet_conn& by, const numbered& what, const endpoint& to) -> task<> {
          const auto sent = co_await by.write_to(what, to);
          CHECK(sent);
        }(from, number, peer));
      }
    }
    co_await writers.join();
    CHECK(from.stats().sent_trains == all.peers.size());
    for (packet_conn& each : all.peers) co_await expect_packets(each);
  });
}

TEST_CASE("fan-out: writes ahead to many destinations in turn leave as one train for each") {
  crowd all(trains_of_a_conn);
  run(all.loop, [&]() -> task<> {
    auto from = open_conn(all.loop, {.coalesce_writes = true});
    for (std::uint64_t number = 0; number < packets_for_each; ++number) {
      for (const endpoint& peer : all.names) {
        numbered own(number);  // gone after the write
        const auto sent = co_await from.write_to(own, peer);
        REQUIRE(sent);
        std::ranges::fill(own.bytes, std::byte{0xee});
      }
    }
    const auto flushed = co_await from.flush();
    CHECK(flushed);
    CHECK(from.stats().sent_trains == all.peers.size());
    CHECK(from.stats().sent_datagrams == packets_for_each * all.peers.size());
    for (packet_conn& each : all.peers) co_await expect_packets(each);
  });
}

TEST_CASE("fan-out: a payload that is changed between two writes ahead arrives as it was at each write") {
  crowd all(4);
  run(all.loop, [&]() -> task<> {
    auto from = open_conn(all.loop, {.coalesce_writes = true});
    bytes payload = counting(1000);
    // The same memory and length each time; every second write has another octet at its end.
    for (std::size_t i = 0; i < 2 * packets_for_each; ++i) {
      payload.back() = static_cast<std::byte>(i / 2);
      const auto sent = co_await from.write_to(payload, all.names[i % all.names.size()]);
      REQUIRE(sent);
    }
    std::ranges::fill(payload, std::byte{0xee});
    const auto flushed = co_await from.flush();
    CHECK(flushed);
    for (std::size_t peer = 0; peer < all.peers.size(); ++peer) {
      std::size_t write = peer;
      const auto got = co_await read_all(all.peers[peer], 2 * packets_for_each / all.peers.size());
      for (const bytes& each : got) {
        bytes expected = counting(1000);
        expected.back() = static_cast<std::byte>(write / 2);
        CHECK(each == expected);
        write += all.peers.size();
      }
    }
  });
}

TEST_CASE("fan-out: what was written ahead to 64 destinations is sent when the conn is closed") {
  crowd all(trains_of_a_conn);
  run(all.loop, [&]() -> task<> {
    auto from = open_conn(all.loop, {.coalesce_writes = true});
    for (const numbered& number : all.numbers) {
      for (const endpoint& peer : all.names) {
        const auto sent = co_await from.write_to(number, peer);
        REQUIRE(sent);
      }
    }
    CHECK(from.stats().sent_datagrams == 0);
    CHECK(from.close());
    CHECK(from.stats().sent_datagrams == packets_for_each * all.peers.size());
    CHECK(from.stats().failed_datagrams == 0);
    for (packet_conn& each : all.peers) co_await expect_packets(each);
  });
}

TEST_CASE("fan-out: it allocates nothing in the steady state") {
  crowd all(trains_of_a_conn);
  run(all.loop, [&]() -> task<> {
    auto from = open_conn(all.loop);
    auto ahead = open_conn(all.loop, {.coalesce_writes = true});
    auto batch = all.in_turn();
    const auto round = [&]() -> task<> {
      const auto sent = co_await from.write_batch(batch);
      REQUIRE(sent == batch.size());
      for (packet_conn& each : all.peers) co_await expect_packets(each);
      for (const write_slot& each : batch) {
        const auto written = co_await ahead.write_to(each.payload, each.destination);
        REQUIRE(written);
      }
      const auto flushed = co_await ahead.flush();
      REQUIRE(flushed);
      for (packet_conn& each : all.peers) co_await expect_packets(each);
    };
    for (int i = 0; i < 3; ++i) co_await round();
    const allocation_count before;
    for (int i = 0; i < 10; ++i) co_await round();
    CHECK(before.since() == 0);
  });
}

// --- an oracle ---

/// What one peer must get, in this order.
struct expected_datagram {
  std::uint64_t number;
  std::size_t length;
  int traffic_class;
  int hop_limit;
};

/// Writes at random: destinations, lengths, traffic classes (with ECN), hop limits, sources of the payload.
class random_traffic {
 public:
  random_traffic(std::size_t peers, unsigned seed) : all_(peers), random_(seed), expected_(peers) {
    for (packet_conn& each : all_.peers) REQUIRE(each.set_control_message(all_control, true));
  }

  event_loop& loop() { return all_.loop; }
  packet_conn& peer(std::size_t which) { return all_.peers[which]; }

  /// `count` messages, at most `room` of them for one peer. They stay valid until the next call.
  std::span<write_slot> messages(std::size_t count, std::size_t room) {
    batch_.clear();
    payloads_.clear();
    std::vector<std::size_t> given(all_.peers.size(), 0);
    control_message control;
    std::size_t length = 100;
    for (std::size_t i = 0; i < count; ++i) {
      if (one_in(6)) length = one_in(3) ? 8 + pick(300) : 100;
      if (one_in(8)) {
        control = {};
        if (one_in(2)) control.traffic_class = static_cast<int>(pick(256));
        if (one_in(2)) control.hop_limit = static_cast<int>(1 + pick(255));
        if (one_in(5)) control.received_at = {};  // is not sent: does not tell two messages apart
      }
      const std::size_t to = in_turn_ ? i % all_.peers.size() : pick(all_.peers.size());
      if (given[to]++ == room) continue;
      bytes& payload = payloads_.emplace_back(counting(length, static_cast<unsigned>(number_)));
      std::memcpy(payload.data(), &number_, sizeof number_);
      batch_.push_back({payload, control, all_.names[to], {}});
      expected_[to].push_back({number_++, length, control.traffic_class.value_or(0), control.hop_limit.value_or(64)});
    }
    in_turn_ = !in_turn_;
    return batch_;
  }

  /// Reads all that the peers must have got.
  task<> expect_all() {
    bytes buffer(2000);
    for (std::size_t i = 0; i < all_.peers.size(); ++i) {
      for (const expected_datagram& next : expected_[i]) {
        const auto got = co_await all_.peers[i].read_from(buffer);
        REQUIRE(got);
        CAPTURE(i, next.number, number_in(got->payload));
        REQUIRE(got->payload.size() == next.length);
        bytes payload = counting(next.length, static_cast<unsigned>(next.number));
        std::memcpy(payload.data(), &next.number, sizeof next.number);
        REQUIRE(std::ranges::equal(got->payload, payload));
        REQUIRE(got->control.traffic_class == next.traffic_class);
        REQUIRE(got->control.hop_limit == next.hop_limit);
      }
      expected_[i].clear();
    }
  }

  std::size_t pick(std::size_t below) { return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_); }

 private:
  bool one_in(std::size_t times) { return pick(times) == 0; }

  crowd all_;
  std::mt19937 random_;
  std::uint64_t number_ = 0;
  bool in_turn_ = false;
  std::vector<write_slot> batch_;
  std::deque<bytes> payloads_;
  std::vector<std::vector<expected_datagram>> expected_;
};

TEST_CASE("fan-out: at random, no peer gets a datagram out of order, none is lost, none is merged with another") {
  constexpr std::size_t room = 60;  // datagrams that wait in a peer's socket
  for (const std::size_t peers : {std::size_t{3}, std::size_t{40}, trains_of_a_conn, std::size_t{150}}) {
    CAPTURE(peers);
    random_traffic traffic(peers, static_cast<unsigned>(peers));
    need_room_for(room, traffic.peer(0), detail::segment_limit() > 1 ? counted_for_long : counted_for_short);
    std::uint64_t trains = 0;
    run(traffic.loop(), [&]() -> task<> {
      auto from = open_conn(traffic.loop());
      auto ahead = open_conn(traffic.loop(), {.coalesce_writes = true});
      for (int round = 0; round < 30; ++round) {
        const auto batch = traffic.messages(1 + traffic.pick(1500), room);
        const auto sent = co_await from.write_batch(batch);
        REQUIRE(sent == batch.size());
        co_await traffic.expect_all();

        for (const write_slot& each : traffic.messages(1 + traffic.pick(1500), room)) {
          const auto written = co_await ahead.write_to(each.payload, each.control, each.destination);
          REQUIRE(written);
        }
        const auto flushed = co_await ahead.flush();
        REQUIRE(flushed);
        co_await traffic.expect_all();

        // One coroutine for some messages each: all of them write in the same turn, in this order.
        auto parts = traffic.messages(1 + traffic.pick(400), room);
        std::deque<beside> writers;
        while (!parts.empty()) {
          const auto part = parts.first(std::min(parts.size(), 1 + traffic.pick(9)));
          parts = parts.subspan(part.size());
          writers.emplace_back(traffic.loop(), [&from, part]() -> task<> {
            const auto written = co_await from.write_batch(part);
            REQUIRE(written == part.size());
          });
        }
        for (beside& each : writers) co_await each.join();
        co_await traffic.expect_all();
      }
      trains = from.stats().sent_trains + ahead.stats().sent_trains;
      CHECK(from.stats().failed_datagrams + ahead.stats().failed_datagrams == 0);
    });
    CHECK(trains > 100);
  }
}

}  // namespace
