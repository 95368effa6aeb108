// Batches like Go's ReadBatch and WriteBatch, without their limits: a call takes from 1 to all messages, any number of
// them, each message has its own result, and nothing is allocated.

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <vector>

#include "support/case/allocations.hpp"
#include "support/case/coroutines.hpp"
#include "support/machine/receive_room.hpp"
#include "support/machine/trains.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

TEST_CASE("a batch may be far longer than 1024, both ways, and allocates nothing") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    constexpr std::size_t many = 3000;
    auto from = open_conn(loop);
    auto to = open_conn(loop);
    if (!trains_are_received()) need_room_for(many, to);
    const endpoint there = name_of(to);
    std::vector<numbered> payloads;
    for (std::uint64_t i = 0; i < many; ++i) payloads.emplace_back(i);
    std::vector<write_slot> out;
    for (const numbered& each : payloads) out.push_back({each, {}, there, {}});
    std::vector<std::array<std::byte, 16>> room(many);
    std::vector<read_slot> in(many);
    for (std::size_t i = 0; i < many; ++i) in[i].buffer = room[i];

    const auto round = [&]() -> task<> {
      const auto sent = co_await from.write_batch(out);
      REQUIRE(sent);
      REQUIRE(*sent == many);
      std::size_t largest = 0;
      for (std::size_t seen = 0; seen < many;) {
        const auto count = co_await to.read_batch(std::span(in).subspan(seen));
        REQUIRE(count);
        REQUIRE(*count >= 1);
        largest = std::max(largest, *count);
        for (std::size_t i = seen; i < seen + *count; ++i) {
          if (number_in(in[i].received.payload) != i) FAIL_CHECK("out of order");
        }
        seen += *count;
      }
      // Without trains each datagram of a read takes a buffer of the pool, which has 256.
      CHECK(largest > (trains_are_received() ? 1024 : 128));
    };
    co_await round();
    const allocation_count allocated;
    co_await round();
    CHECK(allocated.since() == 0);
  });
}

TEST_CASE("each message of a batch has its own result") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    plain_sender sender(name_of(at));
    sender.send(as_payload("fits"));
    sender.send(as_payload("is too long for it"));
    sender.send(as_payload(""));
    std::array<std::array<std::byte, 8>, 4> room;
    std::array<read_slot, 4> in;
    for (std::size_t i = 0; i < in.size(); ++i) in[i].buffer = room[i];
    std::size_t seen = 0;
    while (seen < 3) {
      const auto count = co_await at.read_batch(std::span(in).subspan(seen));
      REQUIRE(count);
      seen += *count;
    }
    CHECK(as_text(in[0].received.payload) == "fits");
    CHECK_FALSE(in[0].received.truncated);
    CHECK(in[0].received.full_length == 4);
    CHECK(as_text(in[1].received.payload) == "is too l");
    CHECK(in[1].received.truncated);
    CHECK(in[1].received.full_length == 18);
    CHECK(in[2].received.payload.empty());
    CHECK_FALSE(in[2].received.truncated);
    for (std::size_t i = 0; i < 3; ++i) CHECK(in[i].received.source.address == ip_address::loopback());

    std::array<write_slot, 0> nothing;
    const auto none = co_await at.write_batch(nothing);
    REQUIRE(none);
    CHECK(*none == 0);
  });
}

TEST_CASE("a batch that may not wait reports an empty socket, and takes the datagrams that are there") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    std::array<std::array<std::byte, 16>, 8> room;
    std::array<read_slot, 8> in;
    for (std::size_t i = 0; i < in.size(); ++i) in[i].buffer = room[i];
    const auto look = [&]() -> task<std::size_t> {
      const auto count = co_await at.read_batch(in, read_flags::dont_wait);
      if (!count) CHECK(count.error() == std::errc::resource_unavailable_try_again);
      co_return count.value_or(0);
    };
    for (int i = 0; i < 3; ++i) {
      const std::size_t count = co_await look();
      CHECK(count == 0);
    }
    plain_sender sender(name_of(at));
    for (std::uint64_t i = 0; i < 5; ++i) sender.send(numbered(i));
    std::size_t seen = co_await look();
    CHECK(seen >= 1);
    while (seen < 5) seen += co_await look();
    CHECK(seen == 5);

    // The batch does not overtake a reader that waits, and other coroutines run while the batch looks.
    std::size_t got = 0;
    beside reader(loop, [&]() -> task<> {
      const auto count = co_await at.read_batch(std::span(in).first(1));
      if (count) got = *count;
    });
    co_await yield();
    sender.send(numbered(9));
    while (!reader.ended()) {
      const std::size_t count = co_await look();
      CHECK(count == 0);
    }
    CHECK(got == 1);

    REQUIRE(at.close());
    const auto closed = co_await at.read_batch(in, read_flags::dont_wait);
    REQUIRE_FALSE(closed);
    CHECK(closed.error() == errc::closed);
  });
}

}  // namespace
