// A zero-copy write ends when the kernel has released the payload, whatever else happens meanwhile.

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/machine/environment.hpp"
#include "support/case/coroutines.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/trains.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/process/forked.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"
#include "uring6/datagram_batch.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

/// Two hosts. Datagrams of the near one stay in a queue; the kernel copies no payload of a zero-copy send before it
/// leaves that queue.
struct queued_link {
  explicit queued_link(std::uint32_t octets_per_second) {
    // First both ends resolve each other's link addresses.
    send_plainly(as_payload("hello"));
    CHECK(read() == bytes(as_payload("hello").begin(), as_payload("hello").end()));
    hold(octets_per_second);
  }

  void hold(std::uint32_t octets_per_second) {
    cable.near.space.run([&] { limit_rate(cable.near.link.index, octets_per_second); });
    // Two datagrams leave at once.
    for (int i = 0; i < 4; ++i) send_plainly(filling);
  }

  void send_plainly(std::span<const std::byte> payload) {
    run(other_loop, [&]() -> task<> {
      const auto sent = co_await other.write_to(payload, there);
      REQUIRE(sent);
    });
  }

  bytes read() {
    bytes all;
    run(other_loop, [&]() -> task<> {
      bytes buffer(2000);
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      all.assign(got->payload.begin(), got->payload.end());
    });
    return all;
  }

  /// Returns the first datagram that is no filling.
  bytes read_signal() {
    for (;;) {
      bytes got = read();
      if (got != filling) return got;
    }
  }

  packet_conn open(event_loop& loop) {
    const packet_options options{.send_buffer = 4 * 1024 * 1024, .zero_copy_from = 1000};
    return cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0", options)); });
  }

  /// Drops all datagrams of the queue. The kernel does not copy the payload for that.
  void let_go() {
    cable.near.space.run([&] { drop_queue(cable.near.link.index); });
  }

  veth_pair cable;
  event_loop other_loop;
  packet_conn other = cable.near.space.run([&] { return or_throw(listen_packet(other_loop, "udp6", "[::]:0")); });
  packet_conn to = cable.far.space.run([&] { return or_throw(listen_packet(other_loop, "udp6", "[::]:0")); });
  endpoint there{cable.far.address, name_of(to).port};
  bytes filling = counting(1400, 1);
};

constexpr std::uint32_t stands_still = 1;
constexpr std::uint32_t flows = 20'000;

task<> some_turns() {
  for (int i = 0; i < 50; ++i) co_await yield();
}

TEST_CASE("a zero-copy write ends when the kernel has released the payload, not before") {
  need_io_uring();
  queued_link link(stands_still);
  event_loop loop;
  auto from = link.open(loop);
  run(loop, [&]() -> task<> {
    const bytes payload = counting(1400);
    std::optional<result<std::size_t>> outcome;
    beside writer(loop, [&]() -> task<> { outcome = co_await from.write_to(payload, link.there); });
    co_await some_turns();
    CHECK_FALSE(writer.ended());
    CHECK(from.stats().zero_copy_sends == 0);
    link.let_go();
    co_await writer.join();
    REQUIRE(*outcome);
    CHECK(**outcome == 1400);
    CHECK(from.stats().zero_copy_sends == 1);
    CHECK(from.stats().copied_sends == 0);
    CHECK(from.stats().sent_datagrams == 1);
  });
  // The kernel copied nothing, so the next write uses zero-copy, too.
  link.hold(stands_still);
  run(loop, [&]() -> task<> {
    const bytes payload = counting(1400);
    beside writer(loop, [&]() -> task<> { (void)co_await from.write_to(payload, link.there); });
    co_await some_turns();
    CHECK_FALSE(writer.ended());
    link.let_go();
    co_await writer.join();
    CHECK(from.stats().zero_copy_sends == 2);
    CHECK(from.stats().copied_sends == 0);
  });
}

TEST_CASE("writers with datagrams in one zero-copy train all end when the kernel has released it, stopped or not") {
  need_io_uring();
  queued_link link(stands_still);
  event_loop loop;
  auto from = link.open(loop);
  run(loop, [&]() -> task<> {
    const bytes payload = counting(700);
    std::array<std::optional<result<std::size_t>>, 3> outcomes;
    std::vector<std::unique_ptr<beside>> writers;
    for (auto& outcome : outcomes) {
      writers.push_back(
          std::make_unique<beside>(loop, [&]() -> task<> { outcome = co_await from.write_to(payload, link.there); }));
    }
    co_await some_turns();
    writers[1]->request_stop();
    co_await some_turns();
    for (const auto& each : outcomes) CHECK_FALSE(each);
    link.let_go();
    for (const auto& each : writers) co_await each->join();
    for (const auto& each : outcomes) {
      REQUIRE(each);
      CHECK(*each == std::size_t{700});
    }
    CHECK(from.stats().zero_copy_sends == 1);
    CHECK(from.stats().sent_trains == 1);
    CHECK(from.stats().sent_datagrams == 3);
  });
}

TEST_CASE("the child of a fork does not wait for the zero-copy sends of its parent") {
  need_io_uring();
  queued_link link(stands_still);
  event_loop loop;
  auto from = link.open(loop);
  run(loop, [&]() -> task<> {
    const bytes payload = counting(1400);
    auto writer = std::make_unique<beside>(loop, [&]() -> task<> {
      const auto sent = co_await from.write_to(payload, link.there);
      CHECK(sent);
    });
    co_await some_turns();
    const std::string said = in_child([&]() -> std::string {
      writer.reset();
      return from.close() ? "closed" : "an error";
    });
    CHECK(said == "closed");
    CHECK_FALSE(writer->ended());
    link.let_go();
    co_await writer->join();
    CHECK(from.stats().zero_copy_sends == 1);
  });
}

TEST_CASE("stops and deadlines do not end a zero-copy write before the kernel has released its payload") {
  need_io_uring();
  queued_link link(stands_still);
  event_loop loop;
  auto from = link.open(loop);
  run(loop, [&]() -> task<> {
    const bytes payload = counting(1400);
    std::array<std::optional<result<std::size_t>>, 2> outcomes;
    beside stopped(loop, [&]() -> task<> { outcomes[0] = co_await from.write_to(payload, link.there); });
    co_await some_turns();
    stopped.request_stop();
    co_await some_turns();
    CHECK_FALSE(stopped.ended());

    beside late(loop, [&]() -> task<> { outcomes[1] = co_await from.write_to(payload, link.there); });
    co_await some_turns();
    REQUIRE(from.set_write_deadline(std::chrono::steady_clock::now()));
    co_await some_turns();
    CHECK_FALSE(stopped.ended());
    CHECK_FALSE(late.ended());

    link.let_go();
    co_await stopped.join();
    co_await late.join();
    // Both datagrams have gone to the device, and the writes report that.
    for (const auto& each : outcomes) REQUIRE(each);
    for (const auto& each : outcomes) CHECK(*each);
    CHECK(from.stats().zero_copy_sends == 2);
    const auto next = co_await from.write_to(payload, link.there);
    CHECK(next.error() == errc::deadline_exceeded);
  });
}

TEST_CASE("close waits until the kernel has released the payloads of zero-copy sends") {
  need_io_uring();
  queued_link link(flows);
  event_loop loop;
  auto from = link.open(loop);
  bytes payload = counting(1400, 77);
  const bytes sent = payload;
  run(loop, [&]() -> task<> {
    std::optional<result<std::size_t>> outcome;
    beside writer(loop, [&]() -> task<> { outcome = co_await from.write_to(payload, link.there); });
    co_await yield();
    co_await yield();
    REQUIRE(from.close());
    std::ranges::fill(payload, std::byte{0});
    co_await writer.join();
    REQUIRE(*outcome);
    CHECK(**outcome == 1400);
    CHECK(from.stats().zero_copy_sends == 1);
  });
  CHECK(link.read_signal() == sent);
}

TEST_CASE("a frame that is destroyed during a zero-copy write waits until the kernel has released the payload") {
  need_io_uring();
  queued_link link(flows);
  event_loop loop;
  auto from = link.open(loop);
  bytes payload = counting(1400, 77);
  const bytes sent = payload;
  run(loop, [&]() -> task<> {
    auto writer = std::make_unique<beside>(loop, [&]() -> task<> {
      const auto unseen = co_await from.write_to(payload, link.there);
      CHECK(unseen);
    });
    co_await yield();
    co_await yield();
    writer.reset();
    std::ranges::fill(payload, std::byte{0});
    CHECK(from.stats().zero_copy_sends == 1);
  });
  CHECK(link.read_signal() == sent);
}

TEST_CASE("a train that a queue segments is held until its last datagram has left") {
  need_io_uring();
  queued_link link(5 * flows);
  event_loop loop;
  auto from = link.open(loop);
  bytes all = counting(12 * 1201, 77);
  const bytes sent = all;
  run(loop, [&]() -> task<> {
    auto batch = pieces_of(all, 1201, link.there);
    const auto written = co_await from.write_batch(batch);
    std::ranges::fill(all, std::byte{0});
    CHECK(written == std::size_t{12});
    CHECK(from.stats().sent_trains == 1);
    CHECK(from.stats().zero_copy_sends == 1);
  });
  bytes arrived = link.read_signal();
  while (arrived.size() < sent.size()) arrived = join({arrived, link.read()});
  CHECK(arrived == sent);
}

TEST_CASE("a loop that is destroyed during a zero-copy write waits until the kernel has released the payload") {
  need_io_uring();
  queued_link link(flows);
  auto loop = std::make_unique<event_loop>();
  auto from = link.open(*loop);
  auto payload = std::make_unique<bytes>(counting(1400, 77));
  const bytes sent = *payload;
  beside writer(*loop, [&]() -> task<> { (void)co_await from.write_to(*payload, link.there); });
  run(*loop, [&]() -> task<> {
    co_await yield();
    co_await yield();
  });
  loop.reset();
  std::ranges::fill(*payload, std::byte{0});
  payload.reset();
  CHECK(from.stats().zero_copy_sends == 1);
  CHECK(link.read_signal() == sent);
}

TEST_CASE("a lent batch of a zero-copy write stays lent until the kernel has released it") {
  need_io_uring();
  queued_link link(stands_still);
  event_loop loop;
  auto from = link.open(loop);
  const endpoint self{link.cable.near.address, name_of(from).port};
  const bytes all = counting(1200);
  const auto in_use = [&] {
    std::uint64_t count = 0;
    for (const pool_stats& each : loop.pools()) count += each.in_use;
    return count;
  };
  run(loop, [&]() -> task<> {
    beside echo(loop, [&]() -> task<> {
      datagram_batch lent;
      const auto received = co_await from.receive(lent);
      REQUIRE(received == 2);
      std::vector<write_slot> answers;
      for (const datagram& each : lent) answers.push_back({each.payload, {}, link.there, {}});
      const auto sent = co_await from.write_batch(answers);
      CHECK(sent == 2);
    });
    co_await yield();
    auto source = link.cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    auto batch = pieces_of(all, 600, self);
    const auto sent = co_await source.write_batch(batch);
    REQUIRE(sent == 2);
    co_await until([&] { return from.stats().received_datagrams == 2; });
    co_await some_turns();
    CHECK_FALSE(echo.ended());
    CHECK(in_use() == (trains_are_received() ? 1 : 2));  // one buffer of a train, or one of each datagram
    link.let_go();
    co_await echo.join();
    CHECK(in_use() == 0);
    CHECK(from.stats().zero_copy_sends == 1);
    CHECK(from.stats().copied_sends == 0);
    CHECK(from.stats().sent_trains == 1);
  });
}

TEST_CASE("a loop sleeps while zero-copy sends wait for their device") {
  need_io_uring();
  queued_link link(stands_still);
  event_loop loop;
  auto from = link.open(loop);
  run(loop, [&]() -> task<> {
    constexpr std::size_t count = 100;
    constexpr std::size_t most = 64;  // sends of one conn in flight; the others wait
    const bytes payload = counting(1400);
    std::vector<std::unique_ptr<beside>> writers;
    for (std::size_t i = 0; i < count; ++i) {
      writers.push_back(std::make_unique<beside>(loop, [&, i]() -> task<> {
        // Each is longer than the one before, so that no trains form.
        const auto sent = co_await from.write_to(std::span(payload).first(1200 + i), link.there);
        CHECK(sent);
      }));
    }
    co_await some_turns();
    const auto before = loop.stats().turns;
    co_await sleep_for(20ms);
    CHECK(loop.stats().turns - before < 10);
    link.let_go();
    for (const auto& each : writers) co_await each->join();
    CHECK(from.stats().sent_datagrams == count);
    const std::size_t uncopied = from.stats().zero_copy_sends - from.stats().copied_sends;
    // An ordinary user's send buffer (212,992 octets) may hold fewer: Linux 6.1 charges a page and more for each.
    const auto granted = from.send_buffer();
    REQUIRE(granted);
    if (*granted >= most * 8'192) {
      CHECK(uncopied == most);
    } else {
      CHECK(uncopied <= most);
      CHECK(uncopied > 0);
    }
  });
}

}  // namespace
