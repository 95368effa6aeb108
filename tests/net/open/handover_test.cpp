// Datagrams that a conn received and no reader took are handed over with its socket, or counted.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cstring>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

/// Reads `count` datagrams that are numbered from `next` on; returns the number after the last.
task<std::uint64_t> read_numbers(packet_conn& pc, std::uint64_t next, std::uint64_t count) {
  std::array<std::byte, 16> buffer;
  for (const std::uint64_t end = next + count; next < end; ++next) {
    const auto got = co_await pc.read_from(buffer);
    REQUIRE(got);
    REQUIRE(number_in(got->payload) == next);
  }
  co_return next;
}

TEST_CASE("release: datagrams that were read ahead go to the next conn, in order, with their control messages") {
  constexpr std::uint64_t count = 100;
  const bool train = GENERATE(false, true);
  event_loop first;
  event_loop second;
  packet_conn old = open_conn(first);
  REQUIRE(old.set_control_message(all_control, true));
  plain_sender sender(name_of(old));
  std::vector<std::byte> all;
  for (std::uint64_t i = 0; i < count; ++i) {
    const numbered each(i);
    all.insert(all.end(), each.bytes.begin(), each.bytes.end());
    if (!train) sender.send(each);
  }
  if (train) {
    const auto half = std::ssize(all) / 2;
    sender.send_train(std::span(all).first(static_cast<std::size_t>(half)), 8);
    sender.send_train(std::span(all).subspan(static_cast<std::size_t>(half)), 8);
  }
  run(first, [&]() -> task<> {
    const auto next = co_await read_numbers(old, 0, 1);
    REQUIRE(next == 1);
  });
  auto released = old.release();
  REQUIRE(released);
  CHECK_FALSE(old.is_open());
  CHECK(released->datagrams.size() > 1);
  CHECK(old.stats().discarded == 0);
  auto taken = adopt_packet(second, *released);
  REQUIRE(taken);
  run(second, [&]() -> task<> {
    std::array<std::byte, 16> buffer;
    for (std::uint64_t i = 1; i < count; ++i) {
      const auto got = co_await taken->read_from(buffer);
      REQUIRE(got);
      REQUIRE(number_in(got->payload) == i);
      CHECK(got->source == sender.name());
      if (i <= released->datagrams.size()) {
        CHECK(got->control.destination == ip_address::loopback());
        CHECK(got->control.hop_limit == 64);
      }
    }
  });
  CHECK(taken->stats().received_datagrams == count - 1);
}

TEST_CASE("release: a datagram that was cut is marked as cut for the next conn's reader, too") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    packet_conn old = open_conn(loop, {.receive_offload = false, .longest_datagram = 1000});
    plain_sender sender(name_of(old));
    std::vector<std::byte> buffer(4000);
    sender.send("first");
    sender.send(std::vector<std::byte>(3000));
    sender.send("");
    const auto first = co_await old.read_from(buffer);
    REQUIRE(first);
    const auto released = old.release();
    REQUIRE(released);
    REQUIRE(released->datagrams.size() == 2);
    auto taken = or_throw(adopt_packet(loop, *released));
    datagram_batch batch;
    const auto lent = co_await taken.receive(batch);
    REQUIRE(lent);
    CHECK(*lent == 2);
    auto each = batch.begin();
    CHECK(each->truncated);
    CHECK(each->full_length == 3000);
    CHECK(each->payload.size() == released->datagrams[0].payload.size());
    ++each;
    CHECK(each->payload.empty());
    CHECK_FALSE(each->truncated);
  });
}

TEST_CASE("release: waiting readers end with closed") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    packet_conn old = open_conn(loop);
    beside reader(loop, [&]() -> task<> {
      std::array<std::byte, 16> buffer;
      const auto got = co_await old.read_from(buffer);
      REQUIRE_FALSE(got);
      CHECK(got.error() == errc::closed);
    });
    co_await yield();
    const auto released = old.release();
    REQUIRE(released);
    ::close(released->fd);
    co_await reader.join();
    CHECK(old.release().error() == errc::closed);
  });
}

TEST_CASE("a socket that is handed over again and again under a flood loses no datagram uncounted") {
  constexpr int handovers = 100;
  std::optional<event_loop> loop(std::in_place);
  std::optional<packet_conn> at(open_conn(*loop, {.receive_offload = false}));
  const endpoint there = name_of(*at);
  std::uint64_t sent = 0;
  std::jthread flood([&](const std::stop_token& done) {
    plain_sender sender(there);
    while (!done.stop_requested()) {
      if (sender.try_send(numbered(sent))) ++sent;
    }
  });
  std::uint64_t received = 0;
  std::uint64_t drops = 0;
  std::uint64_t next = 0;
  const auto read = [&](packet_conn& pc, bool all) -> task<> {
    std::array<std::byte, 16> buffer;
    const auto long_enough = std::chrono::steady_clock::now() + patience;
    or_throw(pc.set_read_deadline(long_enough));
    for (int i = 0; all ? received + drops + pc.stats().kernel_drops < sent : i < 200; ++i) {
      const auto got = co_await pc.read_from(buffer);
      REQUIRE(got);
      REQUIRE(number_in(got->payload) >= next);
      next = number_in(got->payload) + 1;
      ++received;
    }
  };
  for (int i = 0; i < handovers; ++i) {
    loop->run(read(*at, false));
    auto released = or_throw(at->release());
    const packet_stats stats = at->stats();
    drops += stats.kernel_drops;
    CHECK(stats.discarded == 0);
    at.reset();
    loop.emplace();
    at.emplace(or_throw(adopt_packet(*loop, released, {.receive_offload = false})));
  }
  flood.request_stop();
  flood.join();
  loop->run(read(*at, true));
  CHECK(received + drops + at->stats().kernel_drops == sent);
}

TEST_CASE(
    "adopt: a backlog that was handed over counts against the limit of copies, and beyond it is refused, not lost") {
  constexpr std::uint64_t count = 50;
  constexpr std::size_t length = 1000;  // octets of each datagram
  event_loop first;
  event_loop narrow(loop_options{.moved_out_limit = length * count / 2});
  event_loop wide(loop_options{.moved_out_limit = 4 * length * count});
  packet_conn old = open_conn(first);
  plain_sender sender(name_of(old));
  std::vector<std::byte> text(length);
  for (std::uint64_t i = 0; i < count; ++i) {
    std::memcpy(text.data(), &i, sizeof i);
    sender.send(text);
  }
  std::vector<std::byte> buffer(length);
  run(first, [&]() -> task<> {
    const auto got = co_await old.read_from(buffer);
    REQUIRE(got);
  });
  const released_packet released = or_throw(old.release());
  REQUIRE(released.datagrams.size() == count - 1);

  const auto refused = adopt_packet(narrow, released);
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == std::errc::no_buffer_space);
  CHECK(narrow.pools()[1].moved_out_bytes == 0);
  REQUIRE(::fcntl(released.fd, F_GETFD) >= 0);

  auto taken = or_throw(adopt_packet(wide, released));
  CHECK(wide.pools()[1].moved_out_bytes > length * (count - 1));
  CHECK(wide.pools()[1].moved_out == 0);
  run(wide, [&]() -> task<> {
    for (std::uint64_t i = 1; i < count; ++i) {
      const auto got = co_await taken.read_from(buffer);
      REQUIRE(got);
      REQUIRE(number_in(got->payload) == i);
    }
    REQUIRE(taken.close());
  });
  CHECK(taken.stats().discarded == 0);
  taken = open_conn(wide);
  CHECK(wide.pools()[1].moved_out_bytes == 0);
}

TEST_CASE("borrow: datagrams that its reader did not take are counted at the end, or handed over") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    constexpr std::uint64_t count = 10;
    packet_conn owner = open_conn(loop);
    plain_sender sender(name_of(owner));
    for (std::uint64_t i = 0; i < count; ++i) sender.send(numbered(i));
    auto borrowed = or_throw(borrow_packet(loop, owner.native_handle()));
    const auto next = co_await read_numbers(borrowed, 0, 1);
    REQUIRE(next == 1);
    const auto kept = or_throw(borrowed.release());
    CHECK(kept.datagrams.size() == count - 1);
    ::close(kept.fd);
    CHECK(borrowed.stats().discarded == 0);

    for (std::uint64_t i = 0; i < count; ++i) sender.send(numbered(i));
    auto again = or_throw(borrow_packet(loop, owner.native_handle()));
    (void)co_await read_numbers(again, 0, 1);
    REQUIRE(again.close());
    CHECK(again.stats().discarded == count - 1);
  });
}

TEST_CASE("adopt: earlier drops of the kernel do not count as the conn's") {
  event_loop loop;
  packet_conn old = open_conn(loop, {.receive_buffer = 4096});
  plain_sender sender(name_of(old));
  for (std::uint64_t i = 0; i < 200; ++i) sender.send(numbered(i));
  const std::uint64_t before = old.stats().kernel_drops;
  REQUIRE(before > 0);
  const auto released = or_throw(old.release());
  auto taken = or_throw(adopt_packet(loop, released.fd));
  CHECK(taken.stats().kernel_drops == 0);
  for (std::uint64_t i = 0; i < 200; ++i) sender.send(numbered(i));
  CHECK(taken.stats().kernel_drops == 200);
}

TEST_CASE("close: unread datagrams are counted, those of a train one by one") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    packet_conn pc = open_conn(loop);
    plain_sender sender(name_of(pc));
    const std::array<std::byte, 1000> train{};
    sender.send("first");
    sender.send_train(train, 100);
    std::array<std::byte, 2048> buffer{};
    const auto got = co_await pc.read_from(buffer);
    REQUIRE(got);
    REQUIRE(pc.close());
    CHECK(pc.stats().discarded == 10);
  });
}

}  // namespace
