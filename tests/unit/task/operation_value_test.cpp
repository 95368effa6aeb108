// An operation is a value until it is awaited: functions return it, containers hold it, combinators own it.
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/environment.hpp"
#include "support/process/pipe.hpp"
#include "support/traffic/conns.hpp"
#include "uring6/uring6.hpp"

using namespace std::chrono_literals;

namespace uring6 {
namespace {

using test::as_payload;
using test::as_text;

/// Whether the value can be moved, and not copied: two copies would be two operations.
template <class Operation>
constexpr bool moves_only = std::is_nothrow_move_constructible_v<Operation> && !std::is_copy_constructible_v<Operation>;

using reading = decltype(std::declval<packet_conn&>().read_from(std::span<std::byte>()));
static_assert(moves_only<reading>);
static_assert(moves_only<decltype(std::declval<packet_conn&>().receive(std::declval<datagram_batch&>()))>);
static_assert(moves_only<decltype(std::declval<packet_conn&>().read_batch(std::span<read_slot>()))>);
static_assert(moves_only<decltype(std::declval<packet_conn&>().write_to("text", endpoint()))>);
static_assert(moves_only<decltype(std::declval<packet_conn&>().write_batch(std::span<write_slot>()))>);
static_assert(moves_only<decltype(std::declval<packet_conn&>().flush())>);
static_assert(moves_only<decltype(std::declval<tcp_conn&>().read(std::span<std::byte>()))>);
static_assert(moves_only<decltype(std::declval<tcp_conn&>().write("text"))>);
static_assert(moves_only<decltype(std::declval<tcp_listener&>().accept())>);
static_assert(moves_only<decltype(dial_tcp(std::declval<event_loop&>(), "tcp6", endpoint()))>);
static_assert(moves_only<decltype(fd::poll(0, poll_events::readable))>);
static_assert(moves_only<decltype(fd::read(0, std::span<std::byte>()))>);
static_assert(moves_only<decltype(fd::write_at(0, std::span<const std::byte>(), 0))>);
static_assert(moves_only<decltype(sleep_for(1s))>);
static_assert(moves_only<decltype(std::declval<interval&>().tick())>);
static_assert(moves_only<decltype(std::declval<semaphore&>().acquire())>);
static_assert(moves_only<decltype(std::declval<async_mutex&>().lock())>);
static_assert(moves_only<decltype(std::declval<event&>().wait())>);
static_assert(moves_only<decltype(std::declval<channel<int>&>().receive())>);
static_assert(moves_only<decltype(std::declval<channel<int>&>().send(std::declval<const int&>()))>);
static_assert(moves_only<decltype(std::declval<scope&>().join())>);
static_assert(moves_only<decltype(run_blocking([] {}))>);
static_assert(moves_only<decltype(with_timeout(1s, std::declval<reading>()))>);
static_assert(moves_only<decltype(when_any(std::declval<reading>(), sleep_for(1s)))>);
static_assert(moves_only<decltype(when_all(std::declval<reading>(), sleep_for(1s)))>);
static_assert(moves_only<decltype(discarding(fd::read(0, std::span<std::byte>())))>);

// An operation with a name would be kept by reference: a combinator that is returned would outlive it.
template <class A>
concept taken = requires(A&& operation) {
  with_timeout(1s, std::forward<A>(operation));
  when_any(std::forward<A>(operation), sleep_for(1s));
  when_all(std::forward<A>(operation), sleep_for(1s));
};
static_assert(taken<reading> && !taken<reading&> && !taken<decltype(sleep_for(1s))&>);

// The frame of each of these functions is gone when the operation is awaited.

auto soon(packet_conn& pc, std::span<std::byte> into) {
  return with_timeout(test::patience, pc.read_from(into));
}
auto plain(packet_conn& pc, std::span<std::byte> into) {
  return pc.read_from(into);
}
auto first_of(packet_conn& pc, std::span<std::byte> into) {
  return when_any(sleep_for(test::patience), with_timeout(test::patience, pc.read_from(into)));
}
auto both(packet_conn& pc, std::span<std::byte> into, semaphore& places) {
  return when_all(places.acquire(), plain(pc, into));
}
auto said(packet_conn& pc, const char* text, const endpoint& to) {
  return pc.write_to(as_payload(text), to);
}
auto from_pipe(int fd, std::span<std::byte> into) {
  return with_timeout(test::patience, discarding(fd::read(fd, into)));
}

/// Overwrites the part of the stack that the last call used.
[[gnu::noinline]] void use_stack() {
  std::array<volatile std::byte, 4096> over{};
  for (auto& each : over) each = std::byte{0xa5};
}

TEST_CASE("operation values: functions return them") {
  test::need_ipv6();
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    packet_conn pc = test::open_conn(loop);
    const endpoint self = test::name_of(pc);
    semaphore places(1);
    std::array<std::byte, 64> buffer;
    for (const char* const text : {"one", "two", "three", "four"}) {
      auto writing = said(pc, text, self);
      use_stack();
      const auto sent = co_await std::move(writing);
      REQUIRE(sent.has_value());
    }
    auto one = plain(pc, buffer);
    use_stack();
    const auto first = co_await std::move(one);
    REQUIRE(first.has_value());
    CHECK(as_text(first->payload) == "one");

    auto two = soon(pc, buffer);
    use_stack();
    const auto second = co_await std::move(two);
    REQUIRE(second.has_value());
    CHECK(as_text(second->payload) == "two");

    auto three = first_of(pc, buffer);
    use_stack();
    auto third = co_await std::move(three);
    REQUIRE(third.index == 1);
    REQUIRE(std::get<1>(third.value).has_value());
    CHECK(as_text(std::get<1>(third.value)->payload) == "three");

    auto four = both(pc, buffer, places);
    use_stack();
    const auto [permit, fourth] = co_await std::move(four);
    CHECK(permit.has_value());
    REQUIRE(fourth.has_value());
    CHECK(as_text(fourth->payload) == "four");
    CHECK(places.available() == 0);
  });
}

TEST_CASE("operation values: one that waits hears of what comes later") {
  test::need_ipv6();
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    packet_conn pc = test::open_conn(loop);
    const endpoint self = test::name_of(pc);
    std::array<std::byte, 64> buffer;
    auto waiting = soon(pc, buffer);
    use_stack();
    scope beside;
    const auto write_later = [](packet_conn& from, endpoint to) -> task<> {
      co_await test::yield();
      const auto sent = co_await from.write_to(as_payload("later"), to);
      CHECK(sent.has_value());
    };
    beside.spawn(write_later(pc, self));
    const auto got = co_await std::move(waiting);
    co_await beside.join();
    REQUIRE(got.has_value());
    CHECK(as_text(got->payload) == "later");
  });
}

TEST_CASE("operation values: a with_timeout that was stored ends its operation at the deadline") {
  test::need_ipv6();
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    packet_conn pc = test::open_conn(loop);
    std::array<std::byte, 64> buffer;
    auto brief = with_timeout(1ms, plain(pc, buffer));
    use_stack();
    const auto got = co_await std::move(brief);
    REQUIRE_FALSE(got.has_value());
    CHECK(got.error() == errc::deadline_exceeded);
  });
}

TEST_CASE("operation values: containers hold them, also those of descriptors") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    const auto ends = test::make_pipe();
    std::array<std::byte, 3> buffer{};
    std::vector<decltype(from_pipe(0, buffer))> reads;
    for (int i = 0; i < 5; ++i) reads.push_back(from_pipe(ends.read.get(), buffer));  // it moves them as it grows
    REQUIRE(::write(ends.write.get(), "abcdefghijklmno", 15) == 15);
    std::string whole;
    for (auto& each : reads) {
      const auto count = co_await std::move(each);
      REQUIRE(count.has_value());
      whole += as_text(std::span(buffer).first(*count));
    }
    CHECK(whole == "abcdefghijklmno");

    std::optional<decltype(sleep_for(1ms))> kept;
    kept.emplace(sleep_for(1ms));
    const auto slept = co_await std::move(*kept);
    CHECK(slept.has_value());
  });
}

TEST_CASE("operation values: a tick that is stored is the interval's next one when it is awaited") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    interval often(1ms);
    auto stored = often.tick();
    (void)co_await often.tick();
    const auto next = often.next();
    const auto missed = co_await std::move(stored);
    REQUIRE(missed.has_value());
    CHECK(*missed < 1'000'000);
    CHECK(std::chrono::steady_clock::now() >= next);
  });
}

TEST_CASE("operation values: each is awaited once") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    auto sleeping = sleep_for(1ms);
    (void)co_await std::move(sleeping);
    bool refused = false;
    try {
      (void)co_await std::move(sleeping);
    } catch (const std::logic_error&) {
      refused = true;
    }
    CHECK(refused);
    refused = false;
    try {
      auto moved = std::move(sleeping);
      (void)co_await std::move(moved);
    } catch (const std::logic_error&) {
      refused = true;
    }
    CHECK(refused);

    auto racing = when_any(sleep_for(1ms), sleep_for(1h));
    (void)co_await std::move(racing);
    refused = false;
    try {
      (void)co_await std::move(racing);
    } catch (const std::logic_error&) {
      refused = true;
    }
    CHECK(refused);
  });
}

/// Whether a second await of what `make()` returns, and one of what was moved from, throw.
template <class Make>
task<bool> awaits_once(Make make) {
  auto operation = make();
  (void)co_await std::move(operation);
  auto moved = make();
  auto target = std::move(moved);
  (void)co_await std::move(target);
  int refused = 0;
  try {
    (void)co_await std::move(operation);
  } catch (const std::logic_error&) {
    ++refused;
  }
  try {
    (void)co_await std::move(moved);
  } catch (const std::logic_error&) {
    ++refused;
  }
  co_return refused == 2;
}

TEST_CASE("operation values: every kind of operation that was moved from counts as awaited") {
  test::need_ipv6();
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    packet_conn pc = test::open_conn(loop);
    const endpoint self = test::name_of(pc);
    for (int i = 0; i < 8; ++i) {
      const auto sent = co_await pc.write_to("text", self);
      REQUIRE(sent);
    }
    std::array<std::byte, 64> buffer;
    const auto read_datagram = [&] { return pc.read_from(buffer); };
    const bool reads = co_await awaits_once(read_datagram);
    CHECK(reads);
    datagram_batch batch;
    const auto receive_batch = [&] { return pc.receive(batch); };
    pc.set_read_deadline(std::chrono::steady_clock::now() - 1s).value();
    const bool receives = co_await awaits_once(receive_batch);
    CHECK(receives);
    const auto write_datagram = [&] { return pc.write_to("text", self); };
    const bool writes = co_await awaits_once(write_datagram);
    CHECK(writes);

    tcp_listener listener = or_throw(listen_tcp(loop, "tcp6", "[::1]:0"));
    const endpoint server = or_throw(listener.local_endpoint());
    const auto dial = [&] { return dial_tcp(loop, "tcp6", server); };
    const bool dials = co_await awaits_once(dial);
    CHECK(dials);
    const auto accept = [&] { return listener.accept(); };
    const bool accepts = co_await awaits_once(accept);
    CHECK(accepts);

    const auto no_task = []() -> task<int> { co_return 1; };
    const auto all_of = [&] {
      std::vector<task<int>> tasks;
      tasks.push_back(no_task());
      return when_all(std::move(tasks));
    };
    const bool joins_all = co_await awaits_once(all_of);
    CHECK(joins_all);
    const auto blocking = [] { return run_blocking([] { return 1; }); };
    const bool calls = co_await awaits_once(blocking);
    CHECK(calls);
    const auto come_back = [&] { return resume_on(loop); };
    const bool comes_back = co_await awaits_once(come_back);
    CHECK(comes_back);
  });
}

TEST_CASE("operation values: a second await of receive leaves the batch alone") {
  test::need_ipv6();
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    packet_conn pc = test::open_conn(loop);
    const endpoint self = test::name_of(pc);
    const auto sent = co_await pc.write_to("text", self);
    REQUIRE(sent);
    datagram_batch batch;
    auto receiving = pc.receive(batch);
    const auto count = co_await receiving;
    REQUIRE(count == 1U);
    const bool refused = co_await test::refuses_a_second_await(receiving);
    CHECK(refused);
    CHECK(batch.size() == 1);
  });
}

TEST_CASE("operation values: a join that is not awaited, or has ended, does not touch its scope") {
  event_loop loop;
  test::run(loop, []() -> task<> {
    auto gone = std::make_unique<scope>();
    auto unused = gone->join();
    auto ended = gone->join();
    co_await ended;
    gone.reset();  // the sanitizer sees a read of it by the destructors
  });
}

TEST_CASE("operation values: a task owns the operation that it is given") {
  test::need_ipv6();
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    packet_conn pc = test::open_conn(loop);
    const auto await_it = [](reading given) -> task<std::error_code> {
      const auto got = co_await std::move(given);
      co_return got ? std::error_code() : got.error();
    };
    std::array<std::byte, 64> buffer;
    task<std::error_code> waits = await_it(pc.read_from(buffer));
    (void)pc.close();
    const std::error_code why = co_await std::move(waits);
    CHECK(why == errc::closed);
  });
}

}  // namespace
}  // namespace uring6
