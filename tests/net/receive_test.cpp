// read_batch, receive and trains: many datagrams at once, each as it was sent.

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "support/bytes.hpp"
#include "support/conns.hpp"
#include "support/coroutines.hpp"
#include "support/plain_sender.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

/// `count` datagrams of `length` octets, and a shorter one behind them; each begins with its number.
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
    CHECK(at.stats().received_trains > 5);
    CHECK(at.stats().received_datagrams > 5 * at.stats().received_buffers);
  });
}

TEST_CASE("every datagram of a train is cut to a reader's buffer that is shorter") {
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
    std::array<incoming, 8> messages;
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

TEST_CASE("receive lends what is there: singles, trains, empty ones") {
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
          each.payload.empty() ? void() : void(each.payload[0] = std::byte{1});  // it is ours to write to
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

TEST_CASE("of a train that a read has begun receive lends the rest, also where that is a single datagram") {
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

TEST_CASE("a datagram that receive lends is marked when it was cut") {
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
      // All payloads are still what they were.
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
    // One buffer is left: enough, if slow.
    for (std::uint64_t i = 0; i < 100; ++i) sender.send(numbered(i));
    std::array<std::byte, 16> buffer;
    for (std::uint64_t i = 0; i < 100; ++i) {
      const auto got = co_await at.read_from(buffer);
      REQUIRE(got);
      REQUIRE(number_in(got->payload) == i);
    }
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
    // Each reads once, so that its read is armed, and goes away; then the floods come.
    for (std::size_t i = 0; i < away.size(); ++i) {
      senders[i].send(numbered(0));
      const auto got = co_await away[i].read_from(buffer);
      REQUIRE(got);
    }
    for (auto& each : senders) {
      for (std::uint64_t i = 1; i <= 200; ++i) each.send(numbered(i));
    }
    to_busy.send(numbered(0));
    // Nothing else happens in the loop: no timer, no other packet wakes it.
    const auto got = co_await busy.read_from(buffer);
    REQUIRE(got);
    for (std::uint64_t i = 1; i <= 1000; ++i) {
      to_busy.send(numbered(i));
      const auto more = co_await busy.read_from(buffer);
      REQUIRE(more);
      REQUIRE(number_in(more->payload) == i);
    }
    // And those who were away find everything, copied or lent.
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

TEST_CASE("a flooded conn does not starve its neighbour") {
  event_loop loop;
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
        for (; ahead < read_of_flood + 2000; ++ahead) flood.send("flood");  // it never runs dry
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
        if (i++ % 50 == 0) flood.send_train(train, 16);  // twice as much as it reads
        const auto got = co_await flooded.read_from(buffer);
        REQUIRE(got);
        if (flooded.stats().kernel_drops > 0) co_return;  // nobody else came to his turn
      }
    });
    const auto slept = co_await sleep_for(1ms);
    CHECK(slept);
    CHECK_FALSE(greedy.ended());
    done = true;
    co_await greedy.join();
  });
}

// The kernel takes buffers in the order in which it got them, so that it has 64 at first; what comes back is the next
// that it gets.
TEST_CASE("a light load goes round in the buffers that were used last, not through the pool") {
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
    CHECK(touched.size() <= 65);  // the one that is lent, and the kernel's
  });
}

TEST_CASE("a pool counts its buffers: those that the kernel has, and those that are lent") {
  event_loop loop(loop_options{.receive_buffers = 16});
  for (const pool_stats& each : loop.pools()) CHECK(each.buffers == 0);  // made when a conn needs it
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
