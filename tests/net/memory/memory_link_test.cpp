// What a memory_link does with the datagrams of its sockets: delay, loss, order, duplicates, bounds, counters.
#include "uring6/memory_link.hpp"

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "net/memory/both_worlds.hpp"
#include "support/case/allocations.hpp"
#include "support/process/last_words.hpp"
#include "support/process/remote_loop.hpp"
#include "uring6/format.hpp"
#include "uring6/scope.hpp"
#include "uring6/this_task.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// Two sockets of a link with these options, and its loop.
struct linked {
  explicit linked(const memory_link_options& options = {}) : link(loop, options) {}

  /// Writes `count` numbered datagrams, then reads until an hour brings nothing. Returns what arrived, and when.
  std::vector<std::pair<std::uint64_t, steady_clock::duration>> exchange(std::uint64_t count) {
    std::vector<std::pair<std::uint64_t, steady_clock::duration>> arrived;
    play(loop, [&]() -> task<> {
      const auto begin = this_task::now();
      for (std::uint64_t i = 0; i < count; ++i) {
        const numbered payload(i);
        const auto sent = co_await near.write_to(payload, end_of(far));
        REQUIRE(sent);
      }
      std::array<std::byte, 16> buffer;
      REQUIRE(far.set_read_deadline(begin + 1h));
      for (;;) {
        const auto got = co_await far.read_from(buffer);
        if (!got) break;
        arrived.emplace_back(number_in(got->payload), this_task::now() - begin);
      }
      REQUIRE(far.set_read_deadline(std::nullopt));
    });
    return arrived;
  }

  event_loop loop{simulated};
  memory_link link;
  memory_socket near = or_throw(link.bind("[2001:db8::1]:7"));
  memory_socket far = or_throw(link.bind("[2001:db8::2]:7"));
};

TEST_CASE("memory_link: without options each datagram arrives before its write returns") {
  linked of;
  play(of.loop, [&]() -> task<> {
    const auto begin = this_task::now();
    std::array<std::byte, 16> buffer;
    for (int i = 0; i < 100; ++i) {
      const auto sent = co_await of.near.write_to("x", end_of(of.far));
      REQUIRE(sent);
      const auto got = co_await of.far.read_from(buffer, read_flags::dont_wait);
      REQUIRE(got);
      CHECK(got->source == end_of(of.near));
    }
    CHECK(this_task::now() == begin);
  });
  CHECK(to_string(of.link.stats()) == "sent=100 delivered=100");
}

TEST_CASE("memory_link: each datagram is under way for exactly the delay, and those of one time keep their order") {
  linked of({.delay = 20ms});
  const auto arrived = of.exchange(100);
  REQUIRE(arrived.size() == 100);
  for (std::uint64_t i = 0; i < arrived.size(); ++i) CHECK(arrived[i] == std::pair(i, steady_clock::duration(20ms)));
}

TEST_CASE("memory_link: the delay goes by a steady clock, too") {
  event_loop loop;
  memory_link link(loop, {.delay = 2ms});
  auto one = or_throw(link.bind("[::1]:0"));
  run(loop, [&]() -> task<> {
    const auto begin = steady_clock::now();
    const auto sent = co_await one.write_to("x", end_of(one));
    REQUIRE(sent);
    std::array<std::byte, 16> buffer;
    const auto got = co_await one.read_from(buffer);
    REQUIRE(got);
    CHECK(steady_clock::now() >= begin + 2ms);
  });
}

TEST_CASE("memory_link: jitter adds to the delay, up to its limit, and lets datagrams overtake") {
  linked of({.delay = 10ms, .jitter = 5ms});
  const auto arrived = of.exchange(200);
  REQUIRE(arrived.size() == 200);
  std::set<steady_clock::duration> times;
  for (const auto& [number, after] : arrived) {
    CHECK(after >= 10ms);
    CHECK(after <= 15ms);
    times.insert(after);
  }
  CHECK(times.size() > 100);
  CHECK_FALSE(std::ranges::is_sorted(arrived, {}, [](const auto& each) { return each.first; }));
  CHECK(std::ranges::is_sorted(arrived, {}, [](const auto& each) { return each.second; }));
}

TEST_CASE("memory_link: equal seeds lose, delay and repeat the same datagrams, and other seeds do not") {
  const memory_link_options options{.delay = 1ms, .jitter = 9ms, .loss = 0.4, .duplication = 0.2, .seed = 42};
  linked first(options);
  const auto arrived = first.exchange(200);
  CHECK(linked(options).exchange(200) == arrived);
  memory_link_options other = options;
  other.seed = 43;
  CHECK(linked(other).exchange(200) != arrived);

  const memory_link_stats stats = first.link.stats();
  CHECK(stats.sent == 200);
  CHECK(stats.lost > 40);
  CHECK(stats.lost < 120);
  CHECK(stats.duplicated > 5);
  CHECK(stats.delivered == stats.sent - stats.lost + stats.duplicated);
  CHECK(arrived.size() == stats.delivered);
  REQUIRE(first.link.set_options(options));
  CHECK(first.exchange(200) == arrived);  // the random numbers begin anew
}

TEST_CASE("memory_link: a link that is down loses everything, until its options say otherwise") {
  linked of({.loss = 1});
  CHECK(of.exchange(50).empty());
  REQUIRE(of.link.set_options({}));
  CHECK(of.exchange(50).size() == 50);
  REQUIRE(of.link.set_options({.duplication = 1}));
  const auto twice = of.exchange(50);
  REQUIRE(twice.size() == 100);
  for (std::uint64_t i = 0; i < twice.size(); ++i) CHECK(twice[i].first == i / 2);
  CHECK(to_string(of.link.stats()) == "sent=150 duplicated=50 lost=50 delivered=150");
}

TEST_CASE("memory_link: what finds no place is lost and counted, on the way and at the socket") {
  linked of({.queue = 3});
  CHECK(of.exchange(10).size() == 3);
  CHECK(to_string(of.link.stats()) == "sent=10 overflowed=7 delivered=3");
  REQUIRE(of.link.set_options({.delay = 1ms, .queue = 4}));
  const auto arrived = of.exchange(10);
  REQUIRE(arrived.size() == 4);
  CHECK(arrived.back().first == 3);
  CHECK(of.link.stats().overflowed == 13);
}

TEST_CASE("memory_link: a datagram to an address without a socket, or to a group, vanishes and is counted") {
  linked of({.delay = 1ms});
  play(of.loop, [&]() -> task<> {
    for (const char* nowhere : {"[2001:db8::2]:8", "[2001:db8::3]:7", "[ff02::1]:7", "[::]:7"}) {
      const auto sent = co_await of.near.write_to("x", or_throw(endpoint::parse(nowhere)));
      REQUIRE(sent);
    }
    const auto sent = co_await of.near.write_to("x", end_of(of.far));
    REQUIRE(sent);
    CHECK(of.far.close());
    co_await sleep_for(1s);
  });
  CHECK(to_string(of.link.stats()) == "sent=5 without_socket=5");
}

TEST_CASE("memory_link: bind gives free ports, and refuses addresses that a host cannot have") {
  linked of({.interface_index = 7});
  std::set<std::uint16_t> ports;
  std::vector<memory_socket> sockets;
  for (int i = 0; i < 100; ++i) {
    sockets.push_back(or_throw(of.link.bind("[2001:db8::1]:0")));
    ports.insert(end_of(sockets.back()).port);
  }
  CHECK(ports.size() == 100);
  CHECK(*ports.begin() >= 49'152);
  const auto refusal = [&](const char* address) { return of.link.bind(address).error(); };
  CHECK(refusal("[2001:db8::1]:7") == std::errc::address_in_use);
  CHECK(refusal("[::]:7") == std::errc::invalid_argument);
  CHECK(refusal("[ff02::1%7]:7") == std::errc::invalid_argument);
  CHECK(refusal("[fe80::1]:7") == std::errc::invalid_argument);
  CHECK(refusal("[fe80::1%4711]:7") == errc::unknown_zone);
  CHECK(of.link.bind({ip_address::loopback().with_zone(7), 7}).error() == errc::needless_zone);
  CHECK(refusal("192.0.2.1:7") == errc::ipv4_address);
  CHECK(refusal("2001:db8::1") == errc::missing_port);
  CHECK(fail(of.link.bind("[2001:db8::1]:7")).text() == "memory_link::bind [2001:db8::1]:7: Address already in use");
  CHECK(fail(of.link.bind({ip_address::loopback().with_zone(3), 7})).text().find("interface_index") !=
        std::string::npos);
  CHECK(of.near.close());
  CHECK(of.link.bind("[2001:db8::1]:7"));
}

TEST_CASE("memory_link: link-local addresses are those of its interface") {
  linked of({.interface_index = 7});
  const ip_address local = or_throw(ip_address::parse("fe80::1")).with_zone(7);
  play(of.loop, [&]() -> task<> {
    auto to = or_throw(of.link.bind({local, 9}));
    REQUIRE(to.set_control_message(all_control, true));
    std::array<std::byte, 16> buffer;
    const endpoint without_zone{local.with_zone(0), 9};
    const auto refused = co_await of.near.write_to("x", without_zone);
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == std::errc::invalid_argument);
    const control_message by_interface{.interface_index = 7};
    auto sent = co_await to.write_to("x", by_interface, without_zone);
    REQUIRE(sent);
    auto got = co_await to.read_from(buffer);
    REQUIRE(got);
    CHECK(got->source == endpoint{local, 9});
    CHECK(got->control.destination == local.with_zone(0));
    CHECK(got->control.interface_index == 7);
    CHECK(got->control.hop_limit == 64);
    sent = co_await to.write_to(got->payload, got->control.reply(), got->source);
    REQUIRE(sent);
    got = co_await to.read_from(buffer);
    CHECK(got);
  });
}

TEST_CASE("memory_link: options out of their ranges are refused, and change nothing") {
  linked of({.delay = 3ms});
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const memory_link_options& bad : std::initializer_list<memory_link_options>{{.delay = -1ns},
                                                                                   {.delay = 25h},
                                                                                   {.jitter = -1ns},
                                                                                   {.jitter = 25h},
                                                                                   {.loss = -0.1},
                                                                                   {.loss = 1.1},
                                                                                   {.loss = nan},
                                                                                   {.duplication = 2},
                                                                                   {.duplication = nan},
                                                                                   {.queue = 0},
                                                                                   {.interface_index = 0},
                                                                                   {.interface_index = 1U << 31}}) {
    CHECK(of.link.set_options(bad).error() == errc::out_of_range);
    CHECK_THROWS_AS(memory_link(of.loop, bad), std::system_error);
  }
  CHECK(of.link.options().delay == 3ms);
}

TEST_CASE("memory_link: timestamps follow the loop's clock") {
  linked of;
  REQUIRE(of.far.set_control_message(control_flags::timestamp, true));
  play(of.loop, [&]() -> task<> {
    std::array<std::byte, 16> buffer;
    std::optional<std::chrono::sys_time<std::chrono::nanoseconds>> first;
    for (int i = 0; i < 2; ++i) {
      const auto sent = co_await of.near.write_to("x", end_of(of.far));
      REQUIRE(sent);
      const auto got = co_await of.far.read_from(buffer);
      REQUIRE(got);
      REQUIRE(got->control.received_at);
      if (first) CHECK(*got->control.received_at == *first + 24h);
      first = got->control.received_at;
      co_await sleep_for(24h);
    }
  });
}

TEST_CASE("memory_link: reads and writes that need not wait leave the others their turns") {
  event_loop loop({.clock = loop_clock::simulated, .budget = 16});
  memory_link link(loop);
  auto one = or_throw(link.bind("[::1]:0"));
  play(loop, [&]() -> task<> {
    constexpr int count = 100;
    const auto writes = [&]() -> task<> {
      for (int i = 0; i < count; ++i) {
        const auto sent = co_await one.write_to("x", end_of(one));
        REQUIRE(sent);
      }
    };
    const auto reads = [&]() -> task<> {
      std::array<std::byte, 4> buffer;
      for (int i = 0; i < count; ++i) {
        const auto got = co_await one.read_from(buffer);
        REQUIRE(got);
      }
    };
    const auto turns_of = [&](task<> body) -> task<int> {
      beside busy(loop, std::move(body));
      int turns = 0;
      for (; !busy.ended(); ++turns) co_await this_task::yield();
      co_return turns;
    };
    const int writing = co_await turns_of(writes());
    CHECK(writing >= count / 16);
    const int reading = co_await turns_of(reads());
    CHECK(reading >= count / 16);
  });
}

TEST_CASE("memory_link: once it has carried as much as ever, it allocates nothing") {
  linked of({.delay = 1ms, .jitter = 1ms, .duplication = 0.5});
  play(of.loop, [&]() -> task<> {
    std::array<std::byte, 64> buffer;
    const auto round = [&]() -> task<> {
      for (int i = 0; i < 20; ++i) {
        const auto sent = co_await of.near.write_to("0123456789", end_of(of.far));
        REQUIRE(sent);
      }
      REQUIRE(of.far.set_read_deadline(this_task::now() + 1s));
      for (;;) {
        const auto got = co_await of.far.read_from(buffer);
        if (!got) break;
      }
    };
    for (int warm = 0; warm < 10; ++warm) co_await round();
    const allocation_count count;
    for (int i = 0; i < 10; ++i) co_await round();
    CHECK(count.since() == 0);
  });
}

TEST_CASE("memory_link: sockets outlive it, and datagrams under way still arrive") {
  event_loop loop(simulated);
  auto link = std::make_unique<memory_link>(loop, memory_link_options{.delay = 1s});
  auto one = or_throw(link->bind("[::1]:0"));
  play(loop, [&]() -> task<> {
    const auto sent = co_await one.write_to("x", end_of(one));
    REQUIRE(sent);
    link.reset();
    std::array<std::byte, 4> buffer;
    const auto got = co_await one.read_from(buffer);
    CHECK(got);
  });
}

TEST_CASE("memory_link: may outlive its loop with datagrams under way, and then opens no socket") {
  std::optional<memory_link> link;
  {
    event_loop loop(simulated);
    link.emplace(loop, memory_link_options{.delay = 1s});
    auto one = or_throw(link->bind("[::1]:0"));
    play(loop, [&]() -> task<> {
      const auto sent = co_await one.write_to("x", end_of(one));
      REQUIRE(sent);
    });
  }
  CHECK(link->bind("[::1]:0").error() == errc::closed);
  event_loop moved;
  const event_loop taken(std::move(moved));
  CHECK_THROWS_AS(memory_link(moved), std::system_error);
}

TEST_CASE("memory_link: belongs to its loop's thread", "[threads]") {
  remote_loop there;
  std::optional<memory_link> link;
  std::optional<memory_socket> socket;
  there.call([&] {
    link.emplace(there.loop);
    socket.emplace(or_throw(link->bind("[::1]:7")));
  });
  CHECK(link->bind("[::1]:0").error() == errc::wrong_thread);
  CHECK(link->set_options({}).error() == errc::wrong_thread);
  CHECK_THROWS_AS(memory_link(there.loop), std::system_error);
  CHECK(socket->is_open());
  CHECK(end_of(*socket).port == 7);
  there.call([&] {
    socket.reset();
    link.reset();
  });
}

TEST_CASE("memory_link: a socket that is destroyed on another thread ends the program with a message") {
  const std::string words = last_words([] {
    remote_loop there;
    std::optional<memory_link> link;
    std::optional<memory_socket> socket;
    there.call([&] {
      link.emplace(there.loop);
      socket.emplace(or_throw(link->bind("[::1]:7")));
    });
    socket.reset();
  });
  CHECK(words.find("a memory_socket was destroyed on another thread") != words.npos);
}

}  // namespace
