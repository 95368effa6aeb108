// read_batch, receive and trains: many datagrams in one call, each as it was sent.

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/trains.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

/// `count` datagrams of `length` octets, then a shorter one; each begins with its number.
bytes train_of(std::size_t count, std::size_t length, std::size_t last) {
  bytes all = counting(count * length + last);
  for (std::size_t i = 0; i * length < all.size(); ++i) all[i * length] = static_cast<std::byte>(i);
  return all;
}

TEST_CASE("a train is handed out datagram by datagram, the last one shorter") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    REQUIRE(at.set_control_message(all_control, true));
    plain_sender sender(name_of(at));
    bytes buffer(2000);
    for (const std::size_t length : {1, 2, 64, 100, 1200}) {
      for (const std::size_t last : {std::size_t{0}, std::size_t{1}, length / 2}) {
        const std::size_t count = std::min<std::size_t>(50, 60'000 / length);
        const bytes all = train_of(count, length, last);
        sender.send_train(all, static_cast<std::uint16_t>(length));
        const std::size_t datagrams = count + (last > 0 ? 1 : 0);
        for (std::size_t i = 0; i < datagrams; ++i) {
          const auto got = co_await at.read_from(buffer);
          REQUIRE(got);
          const auto expected = std::span(all).subspan(i * length, i < count ? length : last);
          REQUIRE(std::ranges::equal(got->payload, expected));
          REQUIRE(got->full_length == expected.size());
          REQUIRE_FALSE(got->truncated);
          REQUIRE(got->source == sender.name());
          REQUIRE(got->control.destination == ip_address::loopback());
          REQUIRE(got->control.hop_limit);
        }
      }
    }
    CHECK((at.stats().received_trains > 5) == trains_are_received());
    CHECK((at.stats().received_datagrams > 5 * at.stats().received_buffers) == trains_are_received());
  });
}

TEST_CASE("each datagram of a train is cut to a reader's shorter buffer") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    plain_sender sender(name_of(at));
    const bytes all = train_of(10, 100, 30);
    sender.send_train(all, 100);
    std::array<std::byte, 40> buffer;
    for (std::size_t i = 0; i < 11; ++i) {
      const auto got = co_await at.read_from(buffer);
      REQUIRE(got);
      const bool last = i == 10;
      CHECK(got->payload.size() == (last ? 30 : 40));
      CHECK(got->full_length == (last ? 30 : 100));
      CHECK(got->truncated == !last);
      CHECK(got->payload[0] == all[i * 100]);
    }
  });
}

TEST_CASE("without receive_offload a train arrives as single datagrams") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop, {.receive_offload = false});
    plain_sender sender(name_of(at));
    const bytes all = train_of(20, 64, 0);
    sender.send_train(all, 64);
    std::array<std::byte, 64> buffer;
    for (std::size_t i = 0; i < 20; ++i) {
      const auto got = co_await at.read_from(buffer);
      REQUIRE(got);
      REQUIRE(std::ranges::equal(got->payload, std::span(all).subspan(i * 64, 64)));
    }
    CHECK(at.stats().received_trains == 0);
    CHECK(at.stats().received_buffers == 20);
  });
}

TEST_CASE("read_batch fills as many messages as there are datagrams, across trains") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    plain_sender sender(name_of(at));
    std::array<read_slot, 8> messages;
    std::array<std::array<std::byte, 16>, 8> room;
    for (std::size_t i = 0; i < 8; ++i) messages[i].buffer = room[i];

    const auto none = co_await at.read_batch({});
    REQUIRE_FALSE(none);
    CHECK(none.error() == std::errc::invalid_argument);

    for (std::uint64_t i = 0; i < 20; ++i) sender.send(numbered(i));
    std::uint64_t next = 0;
    while (next < 20) {
      const auto count = co_await at.read_batch(messages);
      REQUIRE(count);
      REQUIRE(*count >= 1);
      REQUIRE(*count <= 8);
      for (std::size_t i = 0; i < *count; ++i) {
        REQUIRE(number_in(messages[i].received.payload) == next++);
        REQUIRE(messages[i].received.payload.data() == room[i].data());
      }
    }
    const bytes all = train_of(10, 5, 2);
    sender.send_train(all, 5);
    std::size_t seen = 0;
    while (seen < 11) {
      const auto count = co_await at.read_batch(messages);
      REQUIRE(count);
      for (std::size_t i = 0; i < *count; ++i, ++seen) {
        CHECK(messages[i].received.payload.size() == (seen < 10 ? 5 : 2));
        CHECK(messages[i].received.payload[0] == static_cast<std::byte>(seen));
      }
    }
    CHECK(seen == 11);
  });
}

TEST_CASE("receive lends everything that has arrived: single datagrams, trains, empty datagrams") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    REQUIRE(at.set_control_message(all_control, true));
    plain_sender sender(name_of(at));
    const bytes all = train_of(7, 9, 4);
    datagram_batch batch;
    CHECK(batch.empty());
    CHECK(batch.begin() == batch.end());
    for (int round = 0; round < 10; ++round) {
      sender.send("single");
      sender.send("");
      sender.send_train(all, 9);
      sender.send("last");
      std::vector<std::string> seen;
      std::size_t said = 0;
      while (seen.size() < 11) {
        const auto count = co_await at.receive(batch);
        REQUIRE(count);
        REQUIRE(*count == batch.size());
        said += *count;
        for (const datagram& each : batch) {
          seen.emplace_back(as_text(each.payload));
          CHECK(each.full_length == each.payload.size());
          CHECK_FALSE(each.truncated);
          CHECK(each.source == sender.name());
          CHECK(each.control.source == ip_address::loopback());
          CHECK(each.control.destination == ip_address::loopback());
          each.payload.empty() ? void() : void(each.payload[0] = std::byte{1});  // the lent buffer may be written to
        }
      }
      CHECK(said == 11);
      REQUIRE(seen.size() == 11);
      CHECK(seen.front() == "single");
      CHECK(seen[1].empty());
      for (std::size_t i = 0; i < 8; ++i) CHECK(seen[2 + i] == as_text(std::span(all).subspan(i * 9, i < 7 ? 9 : 4)));
      CHECK(seen.back() == "last");
    }
  });
}

TEST_CASE("iterating over a batch begins at its first datagram each time") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    plain_sender sender(name_of(at));
    const bytes all = train_of(3, 100, 40);
    sender.send_train(all, 100);
    datagram_batch batch;
    const auto count = co_await at.receive(batch);
    REQUIRE(count == 4);
    for (std::size_t steps = 0; steps < 5; ++steps) {
      auto walker = batch.begin();
      for (std::size_t i = 0; i < steps; ++i) ++walker;
      CHECK((walker == batch.end()) == (steps == 4));
      bytes seen;
      for (const datagram& each : batch) {
        CHECK(each.full_length == each.payload.size());
        seen.insert(seen.end(), each.payload.begin(), each.payload.end());
      }
      CHECK(seen == all);
    }
  });
}

TEST_CASE("receive lends the rest of a train that a read has begun, also where that is a single datagram") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    plain_sender sender(name_of(at));
    std::array<std::byte, 100> buffer;
    datagram_batch batch;
    for (const std::size_t last : {std::size_t{40}, std::size_t{100}}) {
      for (std::size_t taken = 1; taken < 4; ++taken) {
        const bytes all = train_of(3, 100, last);
        sender.send_train(all, 100);
        for (std::size_t i = 0; i < taken; ++i) {
          const auto got = co_await at.read_from(buffer);
          REQUIRE(got);
          REQUIRE(std::ranges::equal(got->payload, std::span(all).subspan(i * 100, 100)));
        }
        const auto rest = co_await at.receive(batch);
        REQUIRE(rest);
        CHECK(*rest == 4 - taken);
        CHECK(batch.size() == 4 - taken);
        std::size_t i = taken;
        for (const datagram& each : batch) {
          const auto expected = std::span(all).subspan(i * 100, i < 3 ? 100 : last);
          CHECK(std::ranges::equal(each.payload, expected));
          CHECK(each.full_length == expected.size());
          CHECK(each.source == sender.name());
          ++i;
        }
        CHECK(i == 4);
      }
    }
  });
}

TEST_CASE("receive marks a lent datagram that was cut") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop, {.receive_offload = false, .longest_datagram = 100});
    plain_sender(name_of(at)).send(counting(5000));
    datagram_batch batch;
    const auto count = co_await at.receive(batch);
    REQUIRE(count);
    REQUIRE(batch.size() == 1);
    CHECK(batch.begin()->truncated);
    CHECK(batch.begin()->full_length == 5000);
    CHECK(batch.begin()->payload.size() < 5000);
  });
}

TEST_CASE("batches may be kept, moved and given back in any order") {
  event_loop loop(loop_options{.receive_buffers = 8});
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    plain_sender sender(name_of(at));
    std::uint64_t sent = 0;
    std::uint64_t next = 0;
    const auto take = [&](datagram_batch& into) -> task<> {
      sender.send(numbered(sent++));
      const auto count = co_await at.receive(into);
      REQUIRE(count);
      for (const datagram& each : into) REQUIRE(number_in(each.payload) == next++);
    };
    for (int round = 0; round < 200; ++round) {
      std::vector<datagram_batch> kept(5);
      for (auto& each : kept) co_await take(each);
      // All payloads are unchanged.
      std::uint64_t number = next - 5;
      for (auto& each : kept) {
        for (const datagram& one : each) CHECK(number_in(one.payload) == number++);
      }
      kept[3].clear();
      CHECK(kept[3].empty());
      kept[1] = std::move(kept[4]);
      CHECK(kept[4].empty());  // NOLINT(bugprone-use-after-move)
      CHECK(number_in(kept[1].begin()->payload) == next - 1);
      datagram_batch moved(std::move(kept[0]));
      CHECK(number_in(moved.begin()->payload) == next - 5);
      co_await take(moved);
    }
    CHECK(at.stats().kernel_drops == 0);
  });
}

TEST_CASE("lent datagrams outlive their conn and their loop") {
  auto loop = std::make_unique<event_loop>();
  datagram_batch after_close;
  datagram_batch after_loop;
  run(*loop, [&]() -> task<> {
    for (datagram_batch* batch : {&after_close, &after_loop}) {
      auto at = open_conn(*loop);
      plain_sender(name_of(at)).send("still here");
      const auto count = co_await at.receive(*batch);
      REQUIRE(count);
      REQUIRE(at.close());
    }
    CHECK(as_text(after_close.begin()->payload) == "still here");
    after_close.clear();
  });
  loop.reset();
  REQUIRE(after_loop.size() == 1);
  CHECK(as_text(after_loop.begin()->payload) == "still here");
  after_loop.begin()->payload[0] = std::byte{0};
}

TEST_CASE("a cut datagram counts with the length that was sent, read or lent") {
  event_loop loop;
  packet_conn out = open_conn(loop);
  packet_conn in = open_conn(loop, {.receive_offload = false, .longest_datagram = 100});
  run(loop, [&]() -> task<> {
    std::array<std::byte, 3000> text{};
    std::array<std::byte, 3000> buffer;
    const auto first = co_await out.write_to(text, name_of(in));
    REQUIRE(first);
    const auto read = co_await in.read_from(buffer);
    REQUIRE(read);
    CHECK(in.stats().received_bytes == 3000);
    const auto second = co_await out.write_to(text, name_of(in));
    REQUIRE(second);
    datagram_batch batch;
    const auto lent = co_await in.receive(batch);
    REQUIRE(lent == 1);
    CHECK(in.stats().received_bytes == 6000);
  });
}

}  // namespace
