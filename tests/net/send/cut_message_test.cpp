// Messages of a batch that are cut into datagrams (write_slot::segment): trains that the program has in one piece.

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/receive_room.hpp"
#include "support/machine/trains.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/read_all.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

/// What a message of this payload is cut into.
std::vector<bytes> pieces(std::span<const std::byte> payload, std::size_t segment) {
  std::vector<bytes> all;
  for (std::size_t at = 0; at < payload.size(); at += segment) {
    const auto piece = payload.subspan(at, std::min(segment, payload.size() - at));
    all.emplace_back(piece.begin(), piece.end());
  }
  return all;
}

void append(std::vector<bytes>& to, const std::vector<bytes>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

TEST_CASE("a message with a segment arrives as datagrams of that length, the last one shorter") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    for (const bool connected : {false, true}) {
      CAPTURE(connected);
      auto from = connected ? dial(loop, name_of(to)) : open_conn(loop);
      const bytes payload = counting(1030);
      std::array<write_slot, 1> batch;
      batch[0] = {.payload = payload, .destination = name_of(to), .segment = 100};
      batch[0].error = std::make_error_code(std::errc::io_error);
      const auto sent = co_await from.write_batch(batch);
      CHECK(sent == 11U);
      CHECK_FALSE(batch[0].error);
      const auto got = co_await read_all(to, 11);
      CHECK(got == pieces(payload, 100));
      CHECK(from.stats().sent_datagrams == 11);
      CHECK(from.stats().sent_bytes == payload.size());
      CHECK(from.stats().sent_trains == 1);
    }
  });
}

TEST_CASE("a message that is longer than a train leaves as several, in order") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    need_room_for(4500, to);
    for (const bool offload : {true, false}) {
      CAPTURE(offload);
      auto from = open_conn(loop, {.send_offload = offload});
      // More datagrams than the kernel takes in one train, more octets than one send has, and more trains than a conn
      // may hold.
      const bytes many = counting(4'001 * 16);
      const bytes large = counting(200'000);
      std::array<write_slot, 2> batch;
      batch[0] = {.payload = many, .destination = name_of(to), .segment = 16};
      batch[1] = {.payload = large, .destination = name_of(to), .segment = 1'000};
      std::vector<bytes> expected = pieces(many, 16);
      append(expected, pieces(large, 1'000));
      result<std::size_t> sent;
      beside writer(loop, [&]() -> task<> { sent = co_await from.write_batch(batch); });
      const auto got = co_await read_all(to, 4'201);
      co_await writer.join();
      CHECK(sent == 4'201U);
      CHECK(got == expected);
      CHECK((from.stats().sent_trains > 30) == offload);
    }
  });
}

TEST_CASE("messages with and without a segment arrive in order for each destination") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    const bytes one = counting(100);
    const bytes many = counting(350);
    for (const bool ahead : {false, true}) {
      CAPTURE(ahead);
      auto from = open_conn(loop, {.coalesce_writes = ahead});
      auto first = open_conn(loop);
      auto second = open_conn(loop);
      std::vector<write_slot> batch;
      std::vector<bytes> expected;
      for (int round = 0; round < 3; ++round) {
        for (const packet_conn* to : {&first, &second}) {
          batch.push_back({.payload = one, .destination = name_of(*to)});
          batch.push_back({.payload = many, .destination = name_of(*to), .segment = 100});
          batch.push_back({.payload = std::span(one).first(50), .destination = name_of(*to)});
        }
        expected.push_back(one);
        append(expected, pieces(many, 100));
        expected.emplace_back(one.begin(), one.begin() + 50);
      }
      const auto before = co_await from.write_to(one, name_of(first));
      REQUIRE(before);
      const auto sent = co_await from.write_batch(batch);
      CHECK(sent == 36U);
      for (const write_slot& each : batch) CHECK_FALSE(each.error);
      expected.insert(expected.begin(), one);
      const auto at_first = co_await read_all(first, 19);
      CHECK(at_first == expected);
      expected.erase(expected.begin());
      const auto at_second = co_await read_all(second, 18);
      CHECK(at_second == expected);
    }
  });
}

TEST_CASE("a received train is sent on to many peers from the buffer that the kernel filled") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto source = open_conn(loop);
    auto relay = open_conn(loop);
    std::vector<packet_conn> peers;
    for (int i = 0; i < 70; ++i) peers.push_back(open_conn(loop));
    const bytes stream = counting(1'010);
    std::vector<write_slot> written{{.payload = stream, .destination = name_of(relay), .segment = 100},
                                    {.payload = as_payload("single"), .destination = name_of(relay)}};
    const auto filled = co_await source.write_batch(written);
    REQUIRE(filled == 12U);
    std::vector<bytes> expected = pieces(stream, 100);
    const auto single = as_payload("single");
    expected.emplace_back(single.begin(), single.end());

    datagram_batch batch;
    std::vector<bytes> walked;
    std::size_t relayed = 0;
    while (walked.size() < expected.size()) {
      const auto lent = co_await relay.receive(batch);
      REQUIRE(lent);
      std::vector<write_slot> slots;
      for (auto it = batch.begin(); it != batch.end(); it.next_train()) {
        append(walked, pieces(it.train(), it->payload.size()));
        for (const packet_conn& peer : peers)
          slots.push_back({.payload = it.train(), .destination = name_of(peer), .segment = it->payload.size()});
      }
      const auto sent = co_await relay.write_batch(slots);
      CHECK(sent == *lent * peers.size());
      relayed += sent.value_or(0);
    }
    CHECK(walked == expected);
    CHECK(relayed == expected.size() * peers.size());
    if (trains_are_received()) CHECK(relay.stats().sent_trains == peers.size());
    for (packet_conn& peer : peers) {
      const auto got = co_await read_all(peer, expected.size());
      CHECK(got == expected);
    }
  });
}

TEST_CASE("a walk over trains shows what a walk over datagrams shows, also from the middle of a train") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop);
    auto to = open_conn(loop);
    const bytes payload = counting(330);
    std::vector<write_slot> written{{.payload = payload, .destination = name_of(to), .segment = 100}};
    const auto sent = co_await from.write_batch(written);
    REQUIRE(sent == 4U);
    datagram_batch batch;
    std::vector<bytes> rest;
    std::size_t count = 0;
    while (count < 4) {
      const auto lent = co_await to.receive(batch);
      REQUIRE(lent);
      auto it = batch.begin();
      if (count == 0) ++it;  // leaves the first datagram out
      for (; it != batch.end(); it.next_train()) append(rest, pieces(it.train(), it->payload.size()));
      count += *lent;
    }
    CHECK(rest == pieces(std::span(payload).subspan(100), 100));
  });
}

TEST_CASE("a message is refused as a whole, and the others are sent: a segment too long, a bad control message") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    for (const bool ahead : {false, true}) {
      CAPTURE(ahead);
      auto from = open_conn(loop, {.coalesce_writes = ahead});
      const bytes large(200'000);
      const bytes payload = counting(250);
      std::array<write_slot, 5> batch;
      batch[0] = {.payload = large, .destination = name_of(to), .segment = max_udp_payload + 1};
      batch[1] = {.payload = payload, .destination = name_of(to), .segment = 100};
      batch[2] = {.payload = payload, .control = {.traffic_class = 256}, .destination = name_of(to), .segment = 100};
      batch[3] = {.payload = payload, .destination = name_of(to), .segment = 100'000};  // one datagram
      batch[4] = {.payload = {}, .destination = name_of(to), .segment = 100};           // an empty one
      const auto sent = co_await from.write_batch(batch);
      CHECK(sent == 5U);
      CHECK(batch[0].error == errc::too_long);
      CHECK_FALSE(batch[1].error);
      CHECK(batch[2].error == errc::out_of_range);
      CHECK_FALSE(batch[3].error);
      CHECK_FALSE(batch[4].error);
      CHECK(from.stats().sent_datagrams == 5);
      CHECK(from.stats().failed_datagrams == 4 + 3);
      CHECK(from.stats().failed_after_write == 0);
      std::vector<bytes> expected = pieces(payload, 100);
      expected.push_back(payload);
      expected.emplace_back();
      const auto got = co_await read_all(to, 5);
      CHECK(got == expected);
    }
  });
}

TEST_CASE("a raw conn cuts no message") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_raw(loop);
    const bytes payload = counting(200);
    std::array<write_slot, 1> batch;
    batch[0] = {.payload = payload, .destination = to_loopback, .segment = 100};
    const auto sent = co_await from.write_batch(batch);
    CHECK(sent.error() == std::errc::operation_not_supported);
    CHECK(batch[0].error == std::errc::operation_not_supported);
  });
}

// Since 6.14 the kernel refuses a train of datagrams that are longer than the MTU; it fragments single ones.
TEST_CASE("the datagrams of a message whose train a route refuses are sent one by one") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    auto to = cable.far.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    const bytes payload = counting(19'000);
    std::array<write_slot, 1> batch;
    batch[0] = {.payload = payload, .destination = {cable.far.address, name_of(to).port}, .segment = 2'000};
    for (int round = 0; round < 2; ++round) {  // the route is remembered in the second one
      const auto sent = co_await from.write_batch(batch);
      CHECK(sent == 10U);
      CHECK_FALSE(batch[0].error);
      const auto got = co_await read_all(to, 10);
      CHECK(got == pieces(payload, 2'000));
    }
    CHECK(from.stats().refused_trains > 0);
    CHECK(from.stats().failed_datagrams == 0);
  });
}

TEST_CASE("a stop while the socket is full ends a message with the error, and each of its datagrams is counted") {
  const veth_pair cable;
  event_loop loop;
  cable.near.space.run([&] { limit_rate(cable.near.link.index, 1'000); });
  run(loop, [&]() -> task<> {
    const packet_options small{.send_buffer = 16 * 1024};
    auto from = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0", small)); });
    auto to = cable.far.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    const bytes payload = counting(1'000'000);
    std::array<write_slot, 2> batch;
    for (write_slot& each : batch)
      each = {.payload = payload, .destination = {cable.far.address, name_of(to).port}, .segment = 1'000};
    result<std::size_t> sent;
    beside writer(loop, [&]() -> task<> { sent = co_await from.write_batch(batch); });
    while (from.stats().parked_sends == 0) co_await yield();
    writer.request_stop();
    co_await writer.join();
    CHECK(batch[1].error == errc::canceled);
    const packet_stats counted = from.stats();
    CHECK(counted.sent_datagrams + counted.failed_datagrams == 2'000);
    CHECK(counted.failed_datagrams > 1'000);
    CHECK(sent.value_or(0) == counted.sent_datagrams);

    // The next batch is sent when there is room.
    cable.near.space.run([&] { drop_queue(cable.near.link.index); });
    batch[0].payload = std::span(payload).first(2'500);
    const auto more = co_await from.write_batch(std::span(batch).first(1));
    CHECK(more == 3U);
    CHECK_FALSE(batch[0].error);
  });
}

TEST_CASE("a message that may not wait sends what has room, and tells that there was not enough") {
  const veth_pair cable;
  event_loop loop;
  cable.near.space.run([&] { limit_rate(cable.near.link.index, 1'000); });
  run(loop, [&]() -> task<> {
    const packet_options small{.send_buffer = 16 * 1024};
    auto from = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0", small)); });
    const bytes payload = counting(1'000'000);
    std::array<write_slot, 1> batch;
    batch[0] = {.payload = payload, .destination = {cable.far.address, 7}, .segment = 1'000};
    const auto sent = co_await from.write_batch(batch, write_flags::dont_wait);
    CHECK(batch[0].error == std::errc::resource_unavailable_try_again);
    CHECK(sent.value_or(0) == from.stats().sent_datagrams);
    CHECK(from.stats().sent_datagrams + from.stats().failed_datagrams == 1'000);
    CHECK(from.stats().parked_sends == 0);
  });
}

TEST_CASE("a refusal that comes in the middle of a message is told later, and the message is sent whole") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    need_room_for(9'010, to);
    const packet_options options{.coalesce_writes = true};
    auto from = dial(loop, name_of(to), options);
    const auto ahead = co_await from.write(as_payload("refused"), {.interface_index = 9999});
    CHECK(ahead);
    // More trains than a conn may hold: the message waits half taken when the kernel refuses the coalesced datagram.
    const bytes many = counting(9'000);
    const bytes few = counting(100);
    std::array<write_slot, 2> batch;
    batch[0] = {.payload = many, .segment = 1};
    batch[1] = {.payload = few, .segment = 10};
    const auto sent = co_await from.write_batch(batch);
    CHECK(sent == 9'010U);
    CHECK_FALSE(batch[0].error);
    CHECK_FALSE(batch[1].error);
    CHECK(from.stats().failed_after_write == 1);
    std::vector<bytes> expected = pieces(many, 1);
    append(expected, pieces(few, 10));
    const auto got = co_await read_all(to, 9'010);
    CHECK(got == expected);
    const auto flushed = co_await from.flush();
    CHECK(flushed.error() == std::errc::no_such_device);
  });
}

TEST_CASE("each message of a batch that is refused before its first attempt has the error") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    auto from = open_conn(loop);
    const bytes payload = counting(100);
    std::array<write_slot, 2> batch;
    for (write_slot& each : batch) each = {.payload = payload, .destination = name_of(to)};
    batch[1].segment = 10;

    CHECK(from.set_write_deadline(std::chrono::steady_clock::now()));
    auto sent = co_await from.write_batch(batch);
    CHECK(sent.error() == errc::deadline_exceeded);
    for (const write_slot& each : batch) CHECK(each.error == errc::deadline_exceeded);

    CHECK(from.set_write_deadline(std::nullopt));
    beside stopped(loop, [&]() -> task<> { sent = co_await from.write_batch(batch); });
    stopped.request_stop();
    co_await stopped.join();
    CHECK(sent.error() == errc::canceled);
    for (const write_slot& each : batch) CHECK(each.error == errc::canceled);

    CHECK(from.close());
    sent = co_await from.write_batch(batch);
    CHECK(sent.error() == errc::closed);
    for (const write_slot& each : batch) CHECK(each.error == errc::closed);
  });
}

}  // namespace
