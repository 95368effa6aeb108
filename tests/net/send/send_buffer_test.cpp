// A socket with a full send buffer: its writers wait, and nothing else does.

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/case/stop_race.hpp"
#include "support/machine/environment.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

/// A sender on a slow link: datagrams stay in the link's queue, and count against the send buffer.
struct slow_link {
  explicit slow_link(std::uint32_t octets_per_second, const packet_options& options_of_conn = {},
                     const loop_options& of_loop = {})
      : loop(of_loop), options(options_of_conn) {
    cable.near.space.run([&] { limit_rate(cable.near.link.index, octets_per_second); });
    options.send_buffer = 16 * 1024;
    from = open();
    to = cable.far.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    there = {cable.far.address, name_of(to).port};
  }

  /// Opens a second conn like `from`.
  packet_conn open() {
    return cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0", options)); });
  }

  /// Writes until a write has to wait, and returns that write in `waiting`.
  task<> fill(std::unique_ptr<beside>& waiting, std::optional<result<std::size_t>>& outcome) {
    const auto parked = from.stats().parked_sends;
    while (from.stats().parked_sends == parked) {
      outcome.reset();
      waiting = std::make_unique<beside>(loop, [&]() -> task<> { outcome = co_await from.write_to(payload, there); });
      co_await yield();
      co_await yield();
      co_await yield();
      if (waiting->ended()) REQUIRE(*outcome);
    }
    CHECK_FALSE(waiting->ended());
  }

  veth_pair cable;
  event_loop loop;
  packet_options options;
  packet_conn from;
  packet_conn to;
  endpoint there;
  bytes payload = counting(1000);
};

TEST_CASE("a writer waits for room in the socket's buffer, other coroutines run, and everything arrives") {
  slow_link link(400'000);
  run(link.loop, [&]() -> task<> {
    constexpr std::uint64_t count = 100;
    beside writer(link.loop, [&]() -> task<> {
      for (std::uint64_t i = 0; i < count; ++i) {
        std::memcpy(link.payload.data(), &i, sizeof i);
        const auto sent = co_await link.from.write_to(link.payload, link.there);
        REQUIRE(sent);
      }
    });
    std::uint64_t others = 0;
    beside other(link.loop, [&]() -> task<> {
      while (!writer.ended()) {
        ++others;
        co_await sleep_for(100us);
      }
    });
    bytes buffer(2000);
    std::vector<bool> seen(count, false);
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto got = co_await link.to.read_from(buffer);
      REQUIRE(got);
      seen[number_in(got->payload)] = true;
    }
    co_await other.join();
    CHECK(link.from.stats().parked_sends > 0);
    CHECK(link.from.stats().sent_datagrams == count);
    CHECK(others > 10);
    CHECK(std::ranges::count(seen, true) == static_cast<std::ptrdiff_t>(count));
  });
}

TEST_CASE("a parked write can be stopped, times out, and is woken by close") {
  slow_link link(1'000);
  run(link.loop, [&]() -> task<> {
    std::unique_ptr<beside> waiting;
    std::optional<result<std::size_t>> outcome;
    // The link is slow, not blocked: each round fills the room that has drained meanwhile.
    co_await link.fill(waiting, outcome);
    waiting->request_stop();
    co_await waiting->join();
    REQUIRE(outcome);
    CHECK(outcome->error() == errc::canceled);

    co_await link.fill(waiting, outcome);
    REQUIRE(link.from.set_write_deadline(std::chrono::steady_clock::now() + 1ms));
    co_await waiting->join();
    REQUIRE(outcome);
    CHECK(outcome->error() == errc::deadline_exceeded);
    const auto late = co_await link.from.write_to(link.payload, link.there);
    CHECK(late.error() == errc::deadline_exceeded);
    REQUIRE(link.from.set_write_deadline({}));

    co_await link.fill(waiting, outcome);
    waiting.reset();  // the frame is destroyed while the kernel has its datagram

    co_await link.fill(waiting, outcome);
    REQUIRE(link.from.close());
    co_await waiting->join();
    REQUIRE(outcome);
    CHECK(outcome->error() == errc::closed);
  });
}

TEST_CASE("a stop of another thread ends a parked write, whenever it comes", "[threads]") {
  slow_link link(1);
  run(link.loop, [&]() -> task<> {
    std::unique_ptr<beside> waiting;
    std::optional<result<std::size_t>> outcome;
    co_await link.fill(waiting, outcome);
    int canceled = 0;
    auto write = [&]() -> task<> {
      const auto sent = co_await link.from.write_to(link.payload, link.there);
      if (!sent && sent.error() == errc::canceled) ++canceled;
    };
    co_await stop_about_its_beginning(3'000, write);
    CHECK(canceled > 2'900);  // the link takes a datagram now and then
    waiting->request_stop();
    co_await waiting->join();
  });
}

TEST_CASE("a write that is stopped before the kernel reported a full buffer does not wait for room") {
  need_io_uring();
  // So few entries that completions queue up in the kernel, and this write's completion comes late.
  slow_link link(1, {}, {.submission_entries = 4, .completion_entries = 4});
  run(link.loop, [&]() -> task<> {
    std::unique_ptr<beside> waiting;
    std::optional<result<std::size_t>> outcome;
    co_await link.fill(waiting, outcome);
    const auto parked = link.from.stats().parked_sends;

    std::deque<packet_conn> readers;
    std::vector<std::unique_ptr<beside>> reads;
    std::array<std::byte, 16> buffer;
    for (int i = 0; i < 200; ++i) {
      packet_conn& reader = readers.emplace_back(open_conn(link.loop));
      reads.push_back(std::make_unique<beside>(link.loop, [&buffer, reader = &reader]() -> task<> {
        const auto got = co_await reader->read_from(buffer);
        REQUIRE(got);
      }));
    }
    for (int i = 0; i < 100; ++i) co_await yield();
    const auto overflows = link.loop.stats().overflows;
    for (const packet_conn& each : readers) plain_sender(name_of(each)).send("wake");
    co_await until([&] { return link.loop.stats().overflows > overflows; });

    std::optional<result<std::size_t>> stopped;
    beside writer(link.loop, [&]() -> task<> { stopped = co_await link.from.write_to(link.payload, link.there); });
    co_await yield();
    co_await yield();
    CHECK_FALSE(stopped);
    CHECK(link.from.stats().parked_sends == parked);  // the completion of this write still waits behind the others
    writer.request_stop();
    co_await writer.join();
    REQUIRE(stopped);
    CHECK(stopped->error() == errc::canceled);
    CHECK(link.from.stats().parked_sends == parked);
    for (auto& each : reads) co_await each->join();
  });
}

TEST_CASE("while a write waits for room, a long batch waits behind it") {
  slow_link link(20'000, {.send_offload = false});  // octets a second: the first write still waits when the batch comes
  run(link.loop, [&]() -> task<> {
    std::unique_ptr<beside> waiting;
    std::optional<result<std::size_t>> outcome;
    co_await link.fill(waiting, outcome);
    const auto sends = link.loop.stats().sends;
    std::vector<write_slot> batch(20, {link.payload, {}, link.there, {}});
    const auto sent = co_await link.from.write_batch(batch);
    CHECK(sent == batch.size());
    CHECK(link.loop.stats().sends == sends);
    co_await waiting->join();
    CHECK((outcome && *outcome));
  });
}

TEST_CASE("a parked batch that is stopped reports the messages that were sent") {
  slow_link link(1'000, {.send_offload = false});
  run(link.loop, [&]() -> task<> {
    std::vector<write_slot> batch(100, {link.payload, {}, link.there, {}});
    result<std::size_t> sent;
    beside writer(link.loop, [&]() -> task<> { sent = co_await link.from.write_batch(batch); });
    co_await until([&] { return link.from.stats().parked_sends > 0; });
    writer.request_stop();
    co_await writer.join();
    REQUIRE(sent);
    CHECK(*sent > 0);
    CHECK(*sent < 100);
    std::size_t went = 0;
    for (const write_slot& each : batch) {
      if (!each.error) {
        ++went;
      } else {
        CHECK(each.error == errc::canceled);
      }
    }
    CHECK(went == *sent);
    CHECK(link.from.stats().sent_datagrams == went);
  });
}

TEST_CASE("a writer that stops leaves the datagrams of other writers in its waiting train to be sent") {
  slow_link link(50'000);
  run(link.loop, [&]() -> task<> {
    std::unique_ptr<beside> waiting;
    std::optional<result<std::size_t>> first;
    // These wait behind it, together. On a slow machine the link may have taken them before the stop: then the test
    // repeats.
    std::vector<std::unique_ptr<beside>> writers;
    std::vector<std::optional<result<std::size_t>>> outcomes;
    do {
      co_await link.fill(waiting, first);
      writers.clear();
      outcomes.assign(4, std::nullopt);
      for (std::size_t i = 0; i < 4; ++i) {
        writers.push_back(std::make_unique<beside>(
            link.loop, [&, i]() -> task<> { outcomes[i] = co_await link.from.write_to(link.payload, link.there); }));
      }
      for (int i = 0; i < 5; ++i) co_await yield();
      writers[1]->request_stop();
      writers[2].reset();
      co_await writers[1]->join();
      co_await writers[0]->join();
      co_await writers[3]->join();
      co_await waiting->join();
    } while (*outcomes[1]);
    CHECK(*outcomes[0]);
    CHECK(outcomes[1]->error() == errc::canceled);
    CHECK_FALSE(outcomes[2]);
    CHECK(*outcomes[3]);
    // The datagrams that arrive are those that were reported as sent.
    bytes buffer(2000);
    const auto sent = link.from.stats().sent_datagrams;
    for (std::uint64_t i = 0; i < sent; ++i) {
      const auto got = co_await link.to.read_from(buffer);
      REQUIRE(got);
    }
    const auto last = co_await link.from.write_to(as_payload("last"), link.there);
    REQUIRE(last);
    const auto got = co_await link.to.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "last");
  });
}

TEST_CASE("a parked conn that writes ahead suspends its writer, and flush waits until all datagrams have left") {
  slow_link link(400'000, {.coalesce_writes = true});
  run(link.loop, [&]() -> task<> {
    constexpr std::uint64_t count = 100;
    for (std::uint64_t i = 0; i < count; ++i) {
      std::memcpy(link.payload.data(), &i, sizeof i);
      const auto sent = co_await link.from.write_to(link.payload, link.there);
      REQUIRE(sent);
    }
    const auto flushed = co_await link.from.flush();
    REQUIRE(flushed);
    CHECK(link.from.stats().sent_datagrams == count);
    CHECK(link.from.stats().parked_sends > 0);
    bytes buffer(2000);
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto got = co_await link.to.read_from(buffer);
      REQUIRE(got);
    }
  });
}

TEST_CASE(
    "a batch that the slab does not hold is sent once and whole from a socket that has room for a few datagrams") {
  slow_link link(20'000'000, {.coalesce_writes = true});
  run(link.loop, [&]() -> task<> {
    constexpr std::uint64_t count = 4'000;
    bytes all = counting(count * 1'000);
    std::vector<write_slot> batch = pieces_of(all, 1'000, link.there);
    for (std::uint64_t i = 0; i < count; ++i) std::memcpy(all.data() + i * 1'000, &i, sizeof i);
    result<std::size_t> sent;
    beside writer(link.loop, [&]() -> task<> { sent = co_await link.from.write_batch(batch); });
    bytes buffer(2000);
    std::vector<bool> seen(count, false);  // those that wait for room may be overtaken
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto got = co_await link.to.read_from(buffer);
      REQUIRE(got);
      const auto number = number_in(got->payload);
      REQUIRE(number < count);
      CHECK_FALSE(seen[number]);
      seen[number] = true;
    }
    co_await writer.join();
    CHECK(sent == count);
    CHECK(link.from.stats().parked_sends > 0);
  });
}

TEST_CASE("closing does not wait for room: writes ahead without room are counted, the others have been sent") {
  slow_link link(1, {.send_offload = false, .coalesce_writes = true});
  run(link.loop, [&]() -> task<> {
    constexpr std::size_t count = 60;
    for (const bool sent_before : {false, true}) {
      auto from = link.open();
      for (std::size_t i = 0; i < count; ++i) {
        const auto sent = co_await from.write_to(link.payload, link.there);
        REQUIRE(sent);
      }
      if (sent_before) co_await until([&] { return from.stats().parked_sends > 0; });
      REQUIRE(from.close());
      const packet_stats at_the_end = from.stats();
      CHECK(at_the_end.sent_datagrams > 0);
      CHECK(at_the_end.failed_after_write > 0);
      CHECK(at_the_end.sent_datagrams + at_the_end.failed_after_write == count);
    }
  });
}

TEST_CASE("a conn whose link does not drain keeps no other conn from sending") {
  slow_link link(1'000, {.send_offload = false, .coalesce_writes = true});
  run(link.loop, [&]() -> task<> {
    // More trains than the pool has, all of them parked.
    beside stuck(link.loop, [&]() -> task<> {
      for (;;) {
        const auto sent = co_await link.from.write_to(link.payload, link.there);
        if (!sent) co_return;
      }
    });
    for (int i = 0; i < 100; ++i) co_await yield();
    auto one = open_conn(link.loop);
    auto two = open_conn(link.loop);
    std::array<std::byte, 16> buffer;
    for (std::uint64_t i = 0; i < 100; ++i) {
      const auto sent = co_await one.write_to(numbered(i), name_of(two));
      REQUIRE(sent);
      const auto got = co_await two.read_from(buffer);
      REQUIRE(got);
      CHECK(number_in(got->payload) == i);
    }
    CHECK_FALSE(stuck.ended());
    REQUIRE(link.from.close());
    co_await stuck.join();
  });
}

}  // namespace
