// Datagrams and batches that are written without a wait: MSG_DONTWAIT.

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/receive_room.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

constexpr auto would_wait = std::errc::resource_unavailable_try_again;

/// A sender on a link that lets next to nothing pass: datagrams count against the send buffer.
struct blocked_link {
  explicit blocked_link(packet_options options = {}) {
    cable.near.space.run([&] { limit_rate(cable.near.link.index, 1'000); });
    options.send_buffer = 16 * 1024;
    from = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0", options)); });
    to = cable.far.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    there = {cable.far.address, name_of(to).port};
  }

  std::vector<write_slot> batch(std::size_t count) const { return {count, {payload, {}, there, {}}}; }

  void let_go() {
    cable.near.space.run([&] { drop_queue(cable.near.link.index); });
  }

  veth_pair cable;
  event_loop loop;
  packet_conn from;
  packet_conn to;
  endpoint there;
  bytes payload = counting(1000);
};

TEST_CASE("a batch that may not wait sends as many messages as have room, and each message has its result") {
  for (const bool offload : {true, false}) {
    blocked_link link({.send_offload = offload});
    run(link.loop, [&]() -> task<> {
      std::size_t went = 0;
      result<std::size_t> sent;
      for (int round = 0; round < 100 && (sent || went == 0); ++round) {
        auto batch = link.batch(40);
        sent = co_await link.from.write_batch(batch, write_flags::dont_wait);
        const auto without_error = std::ranges::count_if(batch, [](const write_slot& each) { return !each.error; });
        CHECK(static_cast<std::size_t>(without_error) == sent.value_or(0));
        for (const write_slot& each : batch) {
          if (each.error) CHECK(each.error == would_wait);
        }
        went += sent.value_or(0);
      }
      CHECK(went > 0);
      REQUIRE_FALSE(sent);
      CHECK(sent.error() == would_wait);
      CHECK(link.from.stats().sent_datagrams == went);
      CHECK(link.from.stats().parked_sends == 0);

      // Once there is room, the batch is sent.
      link.let_go();
      auto batch = link.batch(5);
      sent = co_await link.from.write_batch(batch, write_flags::dont_wait);
      CHECK(sent == 5U);
      REQUIRE(link.from.close());
      sent = co_await link.from.write_batch(batch, write_flags::dont_wait);
      CHECK(sent.error() == errc::closed);
    });
  }
}

TEST_CASE("writers that wait for room do not fail with those that may not wait, although they share a train") {
  blocked_link link;
  run(link.loop, [&]() -> task<> {
    result<std::size_t> sent = 1;
    std::vector<write_slot> first;
    while (sent) {
      first = link.batch(1);
      sent = co_await link.from.write_batch(first, write_flags::dont_wait);
    }
    result<std::size_t> patient;
    result<std::size_t> impatient;
    std::vector<write_slot> of_patient = link.batch(3);
    std::vector<write_slot> of_impatient = link.batch(3);
    beside one(link.loop, [&]() -> task<> { patient = co_await link.from.write_batch(of_patient); });
    beside two(link.loop,
               [&]() -> task<> { impatient = co_await link.from.write_batch(of_impatient, write_flags::dont_wait); });
    co_await two.join();
    CHECK(impatient.error() == would_wait);
    CHECK_FALSE(one.ended());
    link.let_go();
    co_await one.join();
    CHECK(patient == 3U);
    for (const write_slot& each : of_patient) CHECK_FALSE(each.error);
  });
}

TEST_CASE("a conn that writes ahead takes no more from a batch that may not wait than it can hold") {
  blocked_link link({.send_offload = false, .coalesce_writes = true});
  run(link.loop, [&]() -> task<> {
    result<std::size_t> sent = 1;
    std::size_t taken = 0;
    for (int round = 0; round < 10'000 && sent; ++round) {
      auto batch = link.batch(1);
      sent = co_await link.from.write_batch(batch, write_flags::dont_wait);
      if (sent) ++taken;
      CHECK(batch.front().error == (sent ? std::error_code() : sent.error()));
    }
    REQUIRE_FALSE(sent);
    CHECK(sent.error() == would_wait);
    link.let_go();
    const auto flushed = co_await link.from.flush();
    CHECK(flushed);
    CHECK(link.from.stats().sent_datagrams == taken);
  });
}

TEST_CASE("a write that may not wait sends while there is room, then reports that there is none") {
  blocked_link link;
  run(link.loop, [&]() -> task<> {
    result<std::size_t> sent = 0;
    std::size_t went = 0;
    for (int round = 0; round < 1000 && sent; ++round) {
      sent = co_await link.from.write_to(link.payload, link.there, write_flags::dont_wait);
      if (sent) ++went;
    }
    REQUIRE_FALSE(sent);
    CHECK(sent.error() == would_wait);
    CHECK(went > 0);
    CHECK(link.from.stats().sent_datagrams == went);
    CHECK(link.from.stats().parked_sends == 0);
    sent = co_await link.from.write_to(link.payload, {.hop_limit = 9}, link.there, write_flags::dont_wait);
    CHECK(sent.error() == would_wait);
    link.let_go();
    sent = co_await link.from.write_to(link.payload, link.there, write_flags::dont_wait);
    CHECK(sent == link.payload.size());
  });
}

TEST_CASE("a write of a connected conn that may not wait reports that there is no room") {
  blocked_link link;
  run(link.loop, [&]() -> task<> {
    packet_options options;
    options.send_buffer = 16 * 1024;
    auto dialed = link.cable.near.space.run([&] { return dial(link.loop, link.there, options); });
    result<std::size_t> sent = 0;
    for (int round = 0; round < 1000 && sent; ++round) {
      sent = co_await dialed.write(link.payload, {}, write_flags::dont_wait);
    }
    REQUIRE_FALSE(sent);
    CHECK(sent.error() == would_wait);
    CHECK(dialed.stats().parked_sends == 0);
  });
}

TEST_CASE("a long batch that may not wait is sent whole while there is room") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop, {.send_offload = false});
    auto to = open_conn(loop);
    constexpr std::size_t count = 500;
    need_room_for(count + count / 4, to);  // the kernel gives back what was read in steps of a quarter of the buffer
    std::vector<numbered> payloads;
    for (std::size_t i = 0; i < count; ++i) payloads.emplace_back(i);
    std::vector<write_slot> batch;
    for (const numbered& each : payloads) batch.push_back({each, {}, name_of(to), {}});
    const auto sent = co_await from.write_batch(batch, write_flags::dont_wait);
    CHECK(sent == count);
    std::array<std::byte, 16> buffer;
    for (std::size_t i = 0; i < count; ++i) {
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      CHECK(number_in(got->payload) == i);
    }
  });
}

}  // namespace
