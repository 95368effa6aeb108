// datagram_hub: every subscription sees every datagram, in the buffer that the kernel filled.

#include "uring6/datagram_hub.hpp"

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "net/hub/subscribers.hpp"
#include "support/case/allocations.hpp"
#include "support/machine/receive_room.hpp"
#include "support/machine/trains.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/plain_sender.hpp"
#include "uring6/text.hpp"
#include "uring6/this_task.hpp"
#include "uring6/when_any.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

TEST_CASE("every subscription sees every datagram once, in order, in the buffer that the kernel filled") {
  constexpr std::uint64_t count = 500;
  event_loop loop;
  run(loop, [&]() -> task<> {
    read_hub with(loop);
    const subscribers all = many_subscribers(loop, with.hub, 64);
    CHECK(with.hub.subscriptions() == 64);
    co_await yield();
    for (std::uint64_t i = 0; i < count;) {
      for (int k = 0; k < 25; ++k) with.sender.send(numbered(i++));
      co_await until([&] { return all.back()->seen().numbers.size() == i; });
    }
    for (const auto& each : all) {
      CHECK(each->seen().numbers == numbers_until(count));
      CHECK(each->seen().places == all.front()->seen().places);
      CHECK(each->from().stats().datagrams == count);
      CHECK(each->from().stats().missed == 0);
      CHECK(each->seen().missed == 0);
    }
    CHECK(with.conn.stats().received_datagrams == count);
  });
}

TEST_CASE("a shared datagram has the payload, the control message and the source of a read one") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pc = open_conn(loop, {.receive_offload = false, .longest_datagram = 1'000});
    REQUIRE(pc.set_control_message(all_control, true));
    plain_sender sender(name_of(pc));
    const bytes longer = counting(3'000);
    std::array<std::byte, 2'000> buffer;
    sender.send(longer);
    const auto read = co_await pc.read_from(buffer);
    REQUIRE(read);
    const std::string wanted = to_string(*read);

    datagram_hub hub(loop, pc);
    const hub_reader reader(loop, hub);
    auto mine = or_throw(hub.subscribe());
    for (const std::size_t length : {std::size_t{3'000}, std::size_t{0}, std::size_t{1}}) {
      sender.send(std::span(longer).first(length));
      const auto batch = co_await mine.receive();
      REQUIRE(batch);
      REQUIRE(batch->size() == 1);
      const auto first = batch->begin();
      CHECK(first->truncated() == (length == 3'000));
      CHECK_FALSE(first->control_truncated());
      CHECK(first->full_length() == length);
      CHECK(std::ranges::equal(first->payload(), std::span(longer).first(first->payload().size())));
      CHECK(first->source() == sender.name());
      CHECK(first->control() == read->control);
      if (length == 3'000) CHECK(to_string(*first) == wanted);
    }
  });
}

/// Walks a batch one datagram for each turn of the loop, so that other walks are in the middle of it, too.
task<> walk_slowly(subscription& from, std::size_t length, std::vector<bytes>& into) {
  const auto batch = co_await from.receive();
  REQUIRE(batch);
  std::size_t left = length;
  for (auto each = batch->begin(); each != batch->end(); ++each) {
    CHECK(each->full_length() == each->payload().size());
    if (trains_are_received()) CHECK(each.train().size() == left);
    left -= each->payload().size();
    into.emplace_back(each->payload().begin(), each->payload().end());
    co_await yield();
  }
}

TEST_CASE("walks through one train do not disturb each other, and the train is one piece of memory") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    read_hub with(loop);
    auto one = or_throw(with.hub.subscribe());
    auto two = or_throw(with.hub.subscribe());
    std::vector<bytes> first;
    std::vector<bytes> second;
    const bytes all = counting(1'030);
    with.sender.send_train(all, 100);
    beside slow(loop, walk_slowly(one, all.size(), first));
    co_await until([&] { return first.size() == 5; });
    co_await walk_slowly(two, all.size(), second);
    co_await slow.join();
    REQUIRE(first.size() == 11);
    CHECK(first == second);
    for (std::size_t i = 0; i < first.size(); ++i)
      CHECK(std::ranges::equal(first[i], std::span(all).subspan(i * 100, i < 10 ? 100 : 30)));
    if (!trains_are_received()) co_return;
    with.sender.send_train(all, 100);
    with.sender.send("single");
    std::vector<std::size_t> trains;
    while (trains.size() < 2) {
      const auto batch = co_await one.receive();
      REQUIRE(batch);
      for (auto each = batch->begin(); each != batch->end(); each.next_train()) trains.push_back(each.train().size());
    }
    CHECK(trains == std::vector<std::size_t>{1'030, 6});
  });
}

TEST_CASE("a buffer goes back to the pool when the last subscription lets it go") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    read_hub with(loop, {.receive_offload = true});
    auto one = or_throw(with.hub.subscribe());
    auto two = or_throw(with.hub.subscribe());
    auto three = or_throw(with.hub.subscribe());
    with.sender.send(numbered(7));
    for (subscription* each : {&one, &two, &three}) {
      const auto batch = co_await each->receive();
      REQUIRE(batch);
      CHECK(number_in(batch->begin()->payload()) == 7);
      CHECK(each->stats().buffers == 1);
    }
    CHECK(buffers_in_use(loop) == 1);
    one.release();
    CHECK(one.stats().buffers == 0);
    CHECK(buffers_in_use(loop) == 1);
    two = subscription();
    CHECK(buffers_in_use(loop) == 1);
    // The next receive gives the batch back before it waits.
    const auto none = co_await when_any(three.receive(), this_task::yield());
    CHECK(none.index == 1);
    CHECK(buffers_in_use(loop) == 0);
    CHECK(with.hub.subscriptions() == 2);
  });
}

TEST_CASE("a subscription sees what arrives after it was made, and one that goes disturbs no other") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    read_hub with(loop);
    subscriber whole(loop, with.hub);
    auto unread = std::make_unique<subscription>(or_throw(with.hub.subscribe()));
    std::unique_ptr<subscriber> late;
    for (std::uint64_t i = 0; i < 30; ++i) {
      if (i == 10) late = std::make_unique<subscriber>(loop, with.hub);
      if (i == 20) late.reset();
      if (i == 25) {
        // It goes with batches that it has not received, the oldest and the newest of all.
        CHECK(unread->stats().buffers == 25);
        unread.reset();
        CHECK(buffers_in_use(loop) == 0);
      }
      with.sender.send(numbered(i));
      co_await until([&] { return whole.seen().numbers.size() == i + 1; });
      co_await yield();
      if (i == 19) CHECK(late->seen().numbers == numbers_until(20, 10));
    }
    CHECK(whole.seen().numbers == numbers_until(30));
    CHECK(with.hub.subscriptions() == 1);
  });
}

TEST_CASE("a receive that is stopped or destroyed takes nothing, also between its wake and its resumption") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    read_hub with(loop);
    auto mine = or_throw(with.hub.subscribe());
    subscriber other(loop, with.hub);
    for (std::uint64_t i = 0; i < 60; ++i) {
      std::error_code error;
      auto waiting = std::make_unique<beside>(loop, [&]() -> task<> {
        const auto batch = co_await mine.receive();
        if (!batch) error = batch.error();
      });
      co_await yield();
      with.sender.send(numbered(i));
      // After so many turns it waits, is woken, or has received.
      for (std::uint64_t turn = 0; turn < i % 6; ++turn) co_await yield();
      const std::uint64_t before = mine.stats().datagrams;
      if (i % 2 == 0) {
        waiting->request_stop();
        co_await waiting->join();
        if (mine.stats().datagrams == i) CHECK(error == errc::canceled);
      } else {
        waiting.reset();
        CHECK(mine.stats().datagrams == before);
      }
      if (mine.stats().datagrams == i) {
        const auto batch = co_await mine.receive();
        REQUIRE(batch);
        CHECK(number_in(batch->begin()->payload()) == i);
      }
      CHECK(mine.stats().datagrams == i + 1);
    }
    co_await until([&] { return other.seen().numbers.size() == 60; });
    CHECK(mine.stats().missed == 0);
  });
}

TEST_CASE("a hub of 64 subscriptions allocates nothing once it has begun") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    read_hub with(loop);
    std::vector<subscription> all;
    for (int i = 0; i < 64; ++i) all.push_back(or_throw(with.hub.subscribe()));
    std::uint64_t received = 0;
    const auto count = [&](subscription& from) -> task<> {
      for (;;) {
        const auto batch = co_await from.receive();
        if (!batch) co_return;
        received += batch->size();
      }
    };
    std::vector<std::unique_ptr<beside>> readers;
    for (auto& each : all) readers.push_back(std::make_unique<beside>(loop, count(each)));
    const bytes train = counting(2'000);
    std::uint64_t sent = 0;
    const auto round = [&]() -> task<> {
      for (std::uint64_t i = 0; i < 40; ++i) with.sender.send(numbered(i));
      with.sender.send_train(train, 100);
      sent += 60;
      co_await until([&] { return received == sent * 64; });
    };
    for (int i = 0; i < 5; ++i) co_await round();
    const allocation_count before;
    for (int i = 0; i < 50; ++i) co_await round();
    CHECK(before.since() == 0);
  });
}

TEST_CASE("a subscription that keeps up misses nothing of a burst that is longer than what it may hold") {
  constexpr std::uint64_t count = 300;
  event_loop loop;
  run(loop, [&]() -> task<> {
    fed_hub with(loop, {.receive_offload = false});
    need_room_for(count, with.conn);
    const subscribers all = many_subscribers(loop, with.hub, 10, {.behind = when_behind::cut_off, .buffers = 32});
    // Nothing was read yet: the reader gets many at once.
    for (std::uint64_t i = 0; i < count; ++i) with.sender.send(numbered(i));
    const hub_reader reader(loop, with.hub);
    co_await until([&] { return all.back()->seen().numbers.size() == count || all.back()->ended(); });
    for (const auto& each : all) {
      CHECK(each->seen().numbers == numbers_until(count));
      CHECK(each->from().stats().missed == 0);
    }
  });
}

}  // namespace
