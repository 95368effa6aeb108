// The ends of a datagram_hub: of its conn, its reader, the hub, a subscription, the loop. Each subscription gets what
// has arrived, then one outcome.

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "net/hub/subscribers.hpp"
#include "support/traffic/plain_sender.hpp"
#include "uring6/scope.hpp"
#include "uring6/tasks.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

TEST_CASE("when the conn is closed each subscription gets what has arrived, then the error of the read") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    read_hub with(loop);
    const subscribers waiting = many_subscribers(loop, with.hub, 3);
    auto behind = or_throw(with.hub.subscribe());
    for (std::uint64_t i = 0; i < 10; ++i) with.sender.send(numbered(i));
    co_await until([&] { return waiting.back()->seen().numbers.size() == 10; });
    REQUIRE(with.conn.close());
    co_await with.reader.body().join();
    REQUIRE(with.reader.end());
    CHECK(with.reader.end()->error() == errc::closed);
    for (const auto& each : waiting) {
      co_await each->body().join();
      CHECK(each->seen().end == errc::closed);
      CHECK(each->seen().numbers == numbers_until(10));
    }
    seen_datagrams late;
    co_await receive_all(behind, late);
    CHECK(late.numbers == numbers_until(10));
    CHECK(late.end == errc::closed);
    // A new run finds the conn closed, and a subscription that is made now hears of it.
    const auto again = co_await with.hub.run();
    CHECK(again.error() == errc::closed);
    auto after = or_throw(with.hub.subscribe());
    const auto none = co_await after.receive();
    CHECK(none.error() == errc::closed);
  });
}

TEST_CASE("a reader that is stopped or destroyed ends the subscriptions with errc::closed, and a new one goes on") {
  const bool stopped = GENERATE(true, false);
  event_loop loop;
  run(loop, [&]() -> task<> {
    fed_hub with(loop);
    auto reader = std::make_unique<hub_reader>(loop, with.hub);
    auto mine = or_throw(with.hub.subscribe());
    std::error_code error;
    beside waiting(loop, [&]() -> task<> {
      const auto batch = co_await mine.receive();
      if (!batch) error = batch.error();
    });
    for (int i = 0; i < 3; ++i) co_await yield();
    if (stopped) {
      reader->body().request_stop();
      co_await reader->body().join();
      CHECK(reader->end()->error() == errc::canceled);
    }
    reader.reset();
    co_await waiting.join();
    CHECK(error == errc::closed);
    const auto none = co_await mine.receive();
    CHECK(none.error() == errc::closed);

    reader = std::make_unique<hub_reader>(loop, with.hub);
    co_await yield();
    with.sender.send(numbered(5));
    const auto batch = co_await mine.receive();
    REQUIRE(batch);
    CHECK(number_in(batch->begin()->payload()) == 5);
  });
}

TEST_CASE("a reader that is destroyed with datagrams in its hands loses none") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    fed_hub with(loop, {.receive_offload = false});
    subscriber keeping_up(loop, with.hub, {.buffers = 32});
    auto behind = or_throw(with.hub.subscribe({.buffers = 256}));
    for (std::uint64_t i = 0; i < 100; ++i) with.sender.send(numbered(i));
    auto reader = std::make_unique<hub_reader>(loop, with.hub);
    // The reader lets the woken subscription run, and keeps what is behind its first 32 datagrams meanwhile.
    co_await until([&] { return with.conn.stats().received_datagrams > behind.stats().buffers; });
    CHECK(behind.stats().buffers == 32);
    reader.reset();
    seen_datagrams got;
    co_await receive_all(behind, got);
    CHECK(got.numbers == numbers_until(with.conn.stats().received_datagrams));
    CHECK(got.numbers.size() >= 32);
    CHECK(got.missed == 0);
  });
}

TEST_CASE("a deadline of the conn ends all subscriptions, until it is set anew and a new reader runs") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    fed_hub with(loop);
    std::optional<hub_reader> reader(std::in_place, loop, with.hub);
    subscribers all = many_subscribers(loop, with.hub, 2);
    co_await yield();
    REQUIRE(with.conn.set_read_deadline(std::chrono::steady_clock::now()));
    for (const auto& each : all) {
      co_await each->body().join();
      CHECK(each->seen().end == errc::deadline_exceeded);
    }
    co_await reader->body().join();
    CHECK(reader->end()->error() == errc::deadline_exceeded);
    REQUIRE(with.conn.set_read_deadline({}));
    reader.emplace(loop, with.hub);
    co_await yield();
    with.sender.send(numbered(1));
    const auto batch = co_await all.front()->from().receive();
    REQUIRE(batch);
    CHECK(number_in(batch->begin()->payload()) == 1);
  });
}

TEST_CASE("an error of the network comes to each subscription once, in its place between the datagrams") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    dialed_hub with(loop);
    const subscribers all = many_subscribers(loop, with.hub, 3);
    auto behind = or_throw(with.hub.subscribe());
    co_await yield();
    for (std::uint64_t i = 0; i < 4; ++i) {
      if (i == 2) {
        co_await with.meet_error();
        co_await until([&] { return !all.back()->seen().errors.empty(); });
        with.bring_peer_back();
      }
      co_await with.send(i);
      co_await until([&] { return all.back()->seen().numbers.size() == i + 1; });
    }
    CHECK(behind.stats().buffers == 5);  // the error counts as one
    REQUIRE(with.conn.close());
    seen_datagrams late;
    co_await receive_all(behind, late);
    for (const auto& each : all) co_await each->body().join();
    std::vector<seen_datagrams> seen{late};
    for (const auto& each : all) seen.push_back(each->seen());
    for (const seen_datagrams& each : seen) {
      CHECK(each.numbers == numbers_until(4));
      REQUIRE(each.errors.size() == 1);
      CHECK(each.errors[0] == std::errc::connection_refused);
      CHECK(each.errors_behind[0] == 2);
    }
    CHECK(behind.stats().missed_errors == 0);
  });
}

TEST_CASE("a receive that waits ends with errc::closed when its subscription is destroyed") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    read_hub with(loop);
    for (const bool woken : {false, true}) {
      auto mine = or_throw(with.hub.subscribe());
      subscriber other(loop, with.hub);
      std::error_code error;
      beside waiting(loop, [&]() -> task<> {
        const auto batch = co_await mine.receive();
        if (!batch) error = batch.error();
      });
      co_await yield();
      if (woken) {
        with.sender.send(numbered(1));
        co_await until([&] { return mine.stats().buffers == 1; });
      }
      mine = subscription();
      co_await waiting.join();
      CHECK(error == errc::closed);
      const auto none = co_await mine.receive();
      CHECK(none.error() == errc::closed);
      if (woken) co_await until([&] { return other.seen().numbers.size() == 1; });
    }
    CHECK(buffers_in_use(loop) == 0);
  });
}

TEST_CASE("the end of a hub ends its subscriptions at once without a reader, else when the reader ends") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pc = open_conn(loop);
    plain_sender sender(name_of(pc));
    auto hub = std::make_unique<datagram_hub>(loop, pc);
    subscriber never(loop, *hub);
    co_await yield();
    hub.reset();
    co_await never.body().join();
    CHECK(never.seen().end == errc::closed);

    hub = std::make_unique<datagram_hub>(loop, pc);
    hub_reader reader(loop, *hub);
    subscriber still(loop, *hub);
    co_await yield();
    hub.reset();
    sender.send(numbered(0));
    co_await until([&] { return still.seen().numbers.size() == 1; });
    reader.body().request_stop();
    co_await still.body().join();
    CHECK(still.seen().end == errc::closed);
  });
}

TEST_CASE("calls that a hub refuses say why") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pc = open_conn(loop);
    datagram_hub hub(loop, pc);
    CHECK(hub.subscribe({.buffers = 31}).error() == errc::out_of_range);
    CHECK(hub.subscribe({.buffers = 32'769}).error() == errc::out_of_range);
    CHECK(hub.subscribe({.buffers = 32'768}));
    const hub_reader reader(loop, hub);
    subscriber waits(loop, hub);
    for (int i = 0; i < 3; ++i) co_await yield();
    const auto second = co_await hub.run();
    CHECK(second.error() == std::errc::operation_in_progress);
    const auto beside_it = co_await waits.from().receive();
    CHECK(beside_it.error() == std::errc::operation_in_progress);
    CHECK_FALSE(waits.ended());
    auto mine = or_throw(hub.subscribe());
    scope listed;
    listed.spawn([](subscription& from) -> task<> { (void)co_await from.receive(); }(mine));
    co_await yield();
    const std::string tree = to_string(loop.tasks());
    CHECK(tree.find("subscription::receive") != tree.npos);
    listed.request_stop();
    co_await listed.join();

    auto operation = mine.receive();
    auto first = std::make_unique<beside>(loop, [&]() -> task<> { (void)co_await operation; });
    co_await yield();
    const bool refused = co_await refuses_a_second_await(operation);
    CHECK(refused);
    first.reset();

    std::error_code elsewhere;
    std::thread([&] {
      const auto made = hub.subscribe();
      if (!made) elsewhere = made.error();
    }).join();
    CHECK(elsewhere == errc::wrong_thread);

    datagram_hub moved(std::move(hub));
    // NOLINTBEGIN(bugprone-use-after-move)
    CHECK(hub.subscribe().error() == errc::closed);
    CHECK(hub.subscriptions() == 0);
    const auto nothing = co_await hub.run();
    // NOLINTEND(bugprone-use-after-move)
    CHECK(nothing.error() == errc::closed);
    CHECK(moved.subscriptions() == 2);
  });
}

TEST_CASE("a hub and its subscriptions are refused inside of another loop, and a hub of a moved-from loop is closed") {
  event_loop loop;
  event_loop another;
  auto pc = open_conn(loop);
  datagram_hub hub(loop, pc);
  auto mine = or_throw(hub.subscribe());
  run(another, [&]() -> task<> {
    const auto end = co_await hub.run();
    CHECK(end.error() == errc::wrong_thread);
    const auto batch = co_await mine.receive();
    CHECK(batch.error() == errc::wrong_thread);
  });
  const event_loop taken(std::move(another));
  datagram_hub closed(another, pc);  // NOLINT(bugprone-use-after-move)
  CHECK(closed.subscribe().error() == errc::closed);
  closed = std::move(hub);
  CHECK(closed.subscriptions() == 1);
  CHECK(hub.subscriptions() == 0);  // NOLINT(bugprone-use-after-move)
}

TEST_CASE("a subscription and its batch outlive the loop, and a receive then ends") {
  auto loop = std::make_unique<event_loop>();
  std::optional<datagram_hub> hub;
  subscription mine;
  subscription other;
  std::optional<shared_batch> batch;
  std::optional<packet_conn> pc;
  pc.emplace(open_conn(*loop));
  hub.emplace(*loop, *pc);
  run(*loop, [&]() -> task<> {
    plain_sender sender(name_of(*pc));
    const hub_reader reader(*loop, *hub);
    mine = or_throw(hub->subscribe());
    other = or_throw(hub->subscribe());
    sender.send(numbered(42));
    const auto got = co_await mine.receive();
    REQUIRE(got);
    batch = *got;
    CHECK(other.stats().buffers == 1);
  });
  loop.reset();
  CHECK(number_in(batch->begin()->payload()) == 42);
  CHECK(hub->subscribe().error() == errc::closed);
  hub.reset();
  event_loop another;
  run(another, [&]() -> task<> {
    const auto end = co_await mine.receive();
    CHECK(end.error() == errc::closed);
    const auto with_a_pending_batch = co_await other.receive();
    CHECK(with_a_pending_batch.error() == errc::closed);
  });
  CHECK(number_in(batch->begin()->payload()) == 42);
}

TEST_CASE("coroutines that wait for a hub end with their loop") {
  const auto frames = std::make_shared<int>();
  std::vector<subscription> all;
  std::optional<datagram_hub> hub;
  std::optional<packet_conn> pc;
  {
    event_loop loop;
    pc.emplace(open_conn(loop));
    hub.emplace(loop, *pc);
    scope readers(loop);
    for (int i = 0; i < 3; ++i) all.push_back(or_throw(hub->subscribe()));
    for (auto& each : all) {
      readers.spawn(
          [](subscription& from, std::shared_ptr<int>) -> task<> { (void)co_await from.receive(); }(each, frames));
    }
    readers.spawn([](datagram_hub& of, std::shared_ptr<int>) -> task<> { (void)co_await of.run(); }(*hub, frames));
    loop.run([]() -> task<> { co_await yield(); }());
    CHECK(frames.use_count() == 5);
  }
  CHECK(frames.use_count() == 1);
  CHECK(hub->subscriptions() == 3);
  all.clear();
  CHECK(hub->subscriptions() == 0);
}

}  // namespace
