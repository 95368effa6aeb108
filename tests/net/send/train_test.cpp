// Which datagrams leave as one train, and how long it may be.

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <optional>
#include <vector>

#include "net/kernel/segment_limit.hpp"
#include "support/case/coroutines.hpp"
#include "support/machine/link_control.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/read_all.hpp"
#include "uring6/scope.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

TEST_CASE("a train is as long as the kernel accepts, and no longer") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop);
    auto to = open_conn(loop);
    const endpoint there = name_of(to);
    struct shape {
      std::size_t count, length, trains;
    };
    const std::size_t limit = detail::segment_limit();
    CHECK((limit == 64 || limit == 128));
    for (const auto& [count, length, trains] :
         {shape{limit, 8, 1}, shape{limit + 2, 8, 2}, shape{1, 8, 0}, shape{2, 8, 1},
          // At most 65,527 octets: 43 times 1,500, and two times half of that.
          shape{43, 1500, 1}, shape{44, 1500, 1}, shape{45, 1500, 2}, shape{2, 32'763, 1}, shape{2, 32'764, 0}}) {
      const bytes payload = counting(length);
      std::vector<write_slot> batch(count, {payload, {}, there, {}});
      const auto before = from.stats();
      const auto sent = co_await from.write_batch(batch);
      REQUIRE(sent);
      CHECK(*sent == count);
      CHECK(from.stats().sent_trains - before.sent_trains == trains);
      CHECK(from.stats().refused_trains == 0);
      const auto got = co_await read_all(to, count);
      for (const bytes& each : got) REQUIRE(each == payload);
    }
  });
}

TEST_CASE("a train may be as long as the longest datagram, to the octet, its last one shorter") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop);
    auto to = open_conn(loop);
    const endpoint there = name_of(to);
    // 65,527 octets, and one more.
    for (const std::size_t last : {1027U, 1028U}) {
      std::vector<bytes> payloads;
      for (unsigned i = 0; i < 43; ++i) payloads.push_back(counting(1500, i));
      payloads.push_back(counting(last));
      std::vector<write_slot> batch;
      for (const bytes& each : payloads) batch.push_back({each, {}, there, {}});
      const auto before = from.stats();
      const auto submissions = loop.stats().submissions;
      const auto sends = loop.stats().sends;
      const auto sent = co_await from.write_batch(batch);
      REQUIRE(sent);
      CHECK(*sent == 44);
      CHECK(from.stats().sent_trains - before.sent_trains == 1);
      // A train alone leaves by the ring; with a datagram to the same destination behind it, both by one call.
      CHECK(loop.stats().submissions - submissions == (last == 1027 ? 1 : 0));
      CHECK(loop.stats().sends - sends == (last == 1027 ? 0 : 1));
      CHECK(from.stats().refused_trains == 0);
      const auto got = co_await read_all(to, 44);
      CHECK(got == payloads);
    }
  });
}

TEST_CASE("batches of two writers join one train that is no longer than the kernel accepts") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop);
    auto to = open_conn(loop);
    const endpoint there = name_of(to);
    constexpr std::size_t of_each = 22;  // 43 datagrams of this length are a train, and 44 are none
    const bytes payload = counting(1500);
    const auto write = [&]() -> task<> {
      std::vector<write_slot> batch(of_each, {payload, {}, there, {}});
      const auto sent = co_await from.write_batch(batch);
      CHECK(sent == of_each);
    };
    scope writers;
    writers.spawn(write());
    writers.spawn(write());
    co_await writers.join();
    CHECK(from.stats().sent_datagrams == 2 * of_each);
    CHECK(from.stats().sent_trains == 1);
    CHECK(from.stats().refused_trains == 0);
    const auto got = co_await read_all(to, 2 * of_each);
    for (const bytes& each : got) REQUIRE(each == payload);
  });
}

TEST_CASE("while the loopback interface is down the longest train is unknown, and known later") {
  const network_namespace space;
  const auto inside = space.enter();
  const auto limit = detail::ask_segment_limit();
  CHECK(limit);
  set_link(loopback_index, link_state::down);
  CHECK_FALSE(detail::ask_segment_limit());
  set_link(loopback_index, link_state::up);
  CHECK(detail::ask_segment_limit() == limit);
}

TEST_CASE("trains to an IPv4 peer are no longer than IPv4 allows") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = or_throw(listen_packet(loop, "udp", "[::]:0"));
    auto to = or_throw(listen_packet(loop, "udp", "127.0.0.1:0"));
    const bytes payload = counting(1489);  // 44 of them are 65,516 octets: too much for IPv4, not for IPv6
    std::vector<write_slot> batch(44, {payload, {}, name_of(to), {}});
    for (int round = 0; round < 2; ++round) {
      const auto sent = co_await from.write_batch(batch);
      REQUIRE(sent);
      CHECK(*sent == 44);
      CHECK(from.stats().refused_trains == 0);
      const auto got = co_await read_all(to, 44);
      for (const bytes& each : got) REQUIRE(each == payload);
    }
    CHECK(from.stats().sent_trains == 2);

    const bytes longest = counting(65'507);
    const auto fits = co_await from.write_to(longest, name_of(to));
    REQUIRE(fits);
    const auto too_long = co_await from.write_to(counting(65'508), name_of(to));
    REQUIRE_FALSE(too_long);
    CHECK(too_long.error() == errc::too_long);
  });
}

TEST_CASE("datagrams to another destination, or with another control message, join trains of their own") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop);
    auto to = open_conn(loop);
    auto other = open_conn(loop);
    REQUIRE(to.set_control_message(all_control, true));
    std::vector<write_slot> batch;
    for (int i = 0; i < 30; ++i) {
      control_message control;
      if (i >= 10) control.traffic_class = i < 20 ? 4 : 8;
      batch.push_back({as_payload("same"), control, name_of(i % 10 == 5 ? other : to), {}});
    }
    const auto sent = co_await from.write_batch(batch);
    REQUIRE(sent);
    CHECK(*sent == 30);
    CHECK(from.stats().sent_trains == 3);  // to the other destination each datagram has another control message
    std::array<std::byte, 16> buffer;
    for (int i = 0; i < 27; ++i) {
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      CHECK(got->control.traffic_class == (i < 9 ? 0 : i < 18 ? 4 : 8));
    }
    co_await read_all(other, 3);
  });
}

TEST_CASE("equal messages leave together, whatever was in their memory before") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop);
    auto to = open_conn(loop);
    std::vector<write_slot> batch(30, {as_payload("same"), {.hop_limit = 7}, name_of(to), {}});
    for (int i = 0; i < 30; ++i) {
      std::optional<int>& traffic_class = batch[i].control.traffic_class;
      traffic_class = i;
      traffic_class.reset();
    }
    const auto sent = co_await from.write_batch(batch);
    REQUIRE(sent);
    CHECK(*sent == 30);
    CHECK(from.stats().sent_trains == 1);
    co_await read_all(to, 30);
  });
}

}  // namespace
