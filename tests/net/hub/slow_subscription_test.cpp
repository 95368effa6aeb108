// A subscription that is behind: what it misses, what it holds, and that no other one notices.

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <vector>

#include "net/hub/subscribers.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

/// A hub with a reader, and a subscription that keeps up. Datagrams come one by one, each in a batch of its own.
class hub_with_traffic : public fed_hub {
 public:
  explicit hub_with_traffic(event_loop& loop) : fed_hub(loop), fast(loop, hub), reader_(loop, hub) {}

  task<> send(std::uint64_t count) {
    for (; count > 0; --count) {
      sender.send(numbered(sent_++));
      co_await until([&] { return fast.seen().numbers.size() == sent_; });
    }
  }

  std::uint64_t sent() const noexcept { return sent_; }

  subscriber fast;

 private:
  hub_reader reader_;
  std::uint64_t sent_ = 0;
};

TEST_CASE("a subscription that skips keeps the newest datagrams, and is told how many it missed") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    hub_with_traffic with(loop);
    auto slow = or_throw(with.hub.subscribe({.buffers = 32}));
    co_await with.send(1);
    auto batch = co_await slow.receive();
    REQUIRE(batch);
    CHECK(batch->missed() == 0);
    const std::byte* const held = batch->begin()->payload().data();
    // It works on the first one, and may hold 31 others.
    co_await with.send(100);
    CHECK(slow.stats().buffers == 32);
    CHECK(buffers_in_use(loop) == 32);
    CHECK(slow.stats().missed == 69);
    CHECK(number_in({held, 8}) == 0);
    for (std::uint64_t i = 70; i <= 100; ++i) {
      batch = co_await slow.receive();
      REQUIRE(batch);
      CHECK(number_in(batch->begin()->payload()) == i);
      CHECK(batch->missed() == (i == 70 ? 69 : 0));
    }
    slow.release();
    CHECK(slow.stats().buffers == 0);
    CHECK(buffers_in_use(loop) == 0);
    CHECK(slow.stats().datagrams == 32);
    CHECK(slow.stats().datagrams + slow.stats().missed == with.sent());
    CHECK(with.fast.seen().numbers == numbers_until(101));
    CHECK(with.fast.from().stats().missed == 0);
  });
}

TEST_CASE("a subscription that is cut off holds nothing, gets one error for ever, and counts all that it misses") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    hub_with_traffic with(loop);
    auto slow = or_throw(with.hub.subscribe({.behind = when_behind::cut_off, .buffers = 32}));
    co_await with.send(32);
    CHECK(slow.stats().missed == 0);
    CHECK(buffers_in_use(loop) == 32);
    co_await with.send(1);
    CHECK(slow.stats().missed == 33);
    CHECK(buffers_in_use(loop) == 0);
    co_await with.send(10);
    CHECK(slow.stats().missed == 43);
    for (int i = 0; i < 2; ++i) {
      const auto batch = co_await slow.receive();
      REQUIRE_FALSE(batch);
      CHECK(batch.error() == errc::fell_behind);
      CHECK_FALSE(is_transient(batch.error()));
    }
    CHECK(slow.stats().datagrams == 0);
    // It begins again.
    slow = or_throw(with.hub.subscribe({.behind = when_behind::cut_off}));
    co_await with.send(1);
    const auto batch = co_await slow.receive();
    REQUIRE(batch);
    CHECK(number_in(batch->begin()->payload()) == 43);
    CHECK(with.fast.seen().numbers == numbers_until(44));
  });
}

TEST_CASE("a subscription that is cut off while it works on a batch keeps that batch until its next receive") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    hub_with_traffic with(loop);
    auto slow = or_throw(with.hub.subscribe({.behind = when_behind::cut_off, .buffers = 32}));
    co_await with.send(1);
    const auto batch = co_await slow.receive();
    REQUIRE(batch);
    co_await with.send(50);
    CHECK(slow.stats().missed == 50);
    CHECK(buffers_in_use(loop) == 1);
    CHECK(number_in(batch->begin()->payload()) == 0);
    const auto after = co_await slow.receive();
    REQUIRE_FALSE(after);
    CHECK(after.error() == errc::fell_behind);
    CHECK(buffers_in_use(loop) == 0);
  });
}

TEST_CASE("a subscription whose batch takes all of its buffers misses what comes until it gives the batch back") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    fed_hub with(loop, {.receive_offload = false});
    // The conn reads 32 ahead of the hub, so that they are one batch.
    for (std::uint64_t i = 0; i <= 32; ++i) with.sender.send(numbered(i));
    std::array<std::byte, 16> buffer;
    const auto first = co_await with.conn.read_from(buffer);
    REQUIRE(first);
    co_await until([&] { return with.conn.stats().received_buffers == 33; });
    auto slow = or_throw(with.hub.subscribe({.buffers = 32}));
    const hub_reader reader(loop, with.hub);
    auto batch = co_await slow.receive();
    REQUIRE(batch);
    REQUIRE(batch->size() == 32);
    subscriber fast(loop, with.hub);
    with.sender.send(numbered(33));
    co_await until([&] { return fast.seen().numbers.size() == 1; });
    CHECK(slow.stats().missed == 1);
    CHECK(slow.stats().buffers == 32);
    slow.release();
    with.sender.send(numbered(34));
    batch = co_await slow.receive();
    REQUIRE(batch);
    CHECK(number_in(batch->begin()->payload()) == 34);
    CHECK(batch->missed() == 1);
  });
}

TEST_CASE("an error that a subscription misses is counted apart from the datagrams") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    dialed_hub with(loop);
    auto slow = or_throw(with.hub.subscribe({.buffers = 32}));
    subscriber fast(loop, with.hub);
    co_await yield();
    co_await with.meet_error();
    co_await until([&] { return !fast.seen().errors.empty(); });
    CHECK(slow.stats().buffers == 1);
    with.bring_peer_back();
    for (std::uint64_t i = 0; i < 32; ++i) {
      co_await with.send(i);
      co_await until([&] { return fast.seen().numbers.size() == i + 1; });
    }
    CHECK(slow.stats().missed_errors == 1);
    CHECK(slow.stats().missed == 0);
    CHECK(slow.stats().buffers == 32);
    const auto batch = co_await slow.receive();
    REQUIRE(batch);
    CHECK(number_in(batch->begin()->payload()) == 0);
    CHECK(batch->missed() == 0);
  });
}

TEST_CASE("slow subscriptions hold the same buffers") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    hub_with_traffic with(loop);
    std::vector<subscription> slow;
    for (int i = 0; i < 20; ++i) slow.push_back(or_throw(with.hub.subscribe({.buffers = 50})));
    co_await with.send(120);
    CHECK(buffers_in_use(loop) == 50);
    for (const auto& each : slow) {
      CHECK(each.stats().buffers == 50);
      CHECK(each.stats().missed == 70);
    }
    slow.clear();
    CHECK(buffers_in_use(loop) == 0);
  });
}

TEST_CASE("a subscription that misses a batch in the middle of its walk goes on with the batch that it has") {
  event_loop loop(loop_options{.receive_buffers = 64});
  run(loop, [&]() -> task<> {
    hub_with_traffic with(loop);
    auto slow = or_throw(with.hub.subscribe({.buffers = 32}));
    std::uint64_t total = 0;
    for (int round = 0; round < 20; ++round) {
      co_await with.send(1);
      const auto batch = co_await slow.receive();
      REQUIRE(batch);
      total += batch->missed() + batch->size();
      const std::uint64_t first = number_in(batch->begin()->payload());
      co_await with.send(40);  // more than the pool would have without the skips
      CHECK(number_in(batch->begin()->payload()) == first);
    }
    CHECK(slow.stats().datagrams + slow.stats().missed + slow.stats().buffers - 1 == with.sent());
    CHECK(slow.stats().datagrams == 20);
    CHECK(total <= with.sent());
    CHECK(with.fast.from().stats().missed == 0);
    CHECK(with.conn.stats().kernel_drops == 0);
  });
}

}  // namespace
