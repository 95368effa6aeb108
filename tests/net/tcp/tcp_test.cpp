// TCP connections: each operation has exactly one outcome.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <optional>
#include <string>

#include "support/case/allocations.hpp"
#include "support/case/coroutines.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/streams.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/scope.hpp"
#include "uring6/tcp.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

TEST_CASE("a connection carries octets both ways until its end, and knows both its ends") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = open_listener(loop);
    const std::string name = name_of(listener).to_string();
    auto dialed = co_await dial_tcp(loop, "tcp6", name);
    REQUIRE(dialed);
    auto accepted = co_await listener.accept();
    REQUIRE(accepted);
    CHECK(or_throw(dialed->peer_endpoint()) == name_of(listener));
    CHECK(or_throw(accepted->peer_endpoint()) == or_throw(dialed->local_endpoint()));
    CHECK(or_throw(accepted->local_endpoint()) == name_of(listener));

    auto sent = co_await dialed->write(as_payload("hello"));
    REQUIRE(sent);
    CHECK(*sent == 5);
    std::array<std::byte, 16> buffer;
    auto got = co_await accepted->read(buffer);
    REQUIRE(got);
    CHECK(as_text(std::span(buffer).first(*got)) == "hello");
    sent = co_await accepted->write_some(as_payload("and back"));
    REQUIRE(sent);
    CHECK(*sent == 8);
    // The octets of one write are read in parts.
    got = co_await dialed->read(std::span(buffer).first(3));
    REQUIRE(got);
    CHECK(as_text(std::span(buffer).first(*got)) == "and");
    got = co_await dialed->read(buffer);
    REQUIRE(got);
    CHECK(as_text(std::span(buffer).first(*got)) == " back");

    REQUIRE(accepted->close());
    CHECK_FALSE(accepted->is_open());
    for (int i = 0; i < 2; ++i) {
      got = co_await dialed->read(buffer);
      REQUIRE(got);
      CHECK(*got == 0);
    }
    // A read or write of no octets ends at once.
    got = co_await dialed->read({});
    CHECK(got == 0U);
    sent = co_await dialed->write({});
    CHECK(sent == 0U);
    CHECK(dialed->stats().sent_bytes == 5);
    CHECK(dialed->stats().received_bytes == 8);
  });
}

TEST_CASE("write writes all octets, however slowly the peer reads, and write_some a part") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pair = co_await connect(loop);
    const bytes all = pattern(16 << 20);
    const auto part = co_await pair.here.write_some(all);
    REQUIRE(part);
    CHECK(*part >= 1);
    CHECK(*part < all.size());
    bytes seen = co_await read_exactly(pair.there, *part);
    CHECK(std::ranges::equal(seen, std::span(all).first(*part)));

    std::optional<std::size_t> written;
    beside writer(loop, [&]() -> task<> {
      const auto sent = co_await pair.here.write(all);
      if (sent) written = *sent;
    });
    co_await yield();
    CHECK_FALSE(written);
    seen = co_await read_exactly(pair.there, all.size());
    CHECK(seen == all);
    co_await writer.join();
    CHECK(written == all.size());
    CHECK(pair.here.stats().sent_bytes == *part + all.size());
  });
}

TEST_CASE("writes of several coroutines do not mix, and several readers are served in order") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pair = co_await connect(loop);
    constexpr std::size_t length = 3 << 20;
    const bytes a(length, std::byte{'a'});
    const bytes b(length, std::byte{'b'});
    const auto write = [&](const bytes& what) -> task<> {
      const auto sent = co_await pair.here.write(what);
      CHECK(sent == length);
    };
    beside one(loop, write(a));
    beside two(loop, write(b));
    const bytes seen = co_await read_exactly(pair.there, 2 * length);
    REQUIRE(seen.size() == 2 * length);
    CHECK(std::ranges::all_of(std::span(seen).first(length), [](std::byte o) { return o == std::byte{'a'}; }));
    CHECK(std::ranges::all_of(std::span(seen).last(length), [](std::byte o) { return o == std::byte{'b'}; }));
    co_await one.join();
    co_await two.join();

    std::string order;
    const auto read_one = [&]() -> task<> {
      std::array<std::byte, 1> octet;
      const auto got = co_await pair.there.read(octet);
      if (got == 1U) order += static_cast<char>(octet[0]);
    };
    beside first(loop, read_one());
    beside second(loop, read_one());
    beside third(loop, read_one());
    co_await yield();
    const auto sent = co_await pair.here.write(as_payload("123"));
    CHECK(sent);
    co_await first.join();
    co_await second.join();
    co_await third.join();
    CHECK(order == "123");
  });
}

TEST_CASE("after shutdown one half of a connection ends, the other works on") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pair = co_await connect(loop);
    REQUIRE(pair.here.shutdown(stream_half::write));
    std::array<std::byte, 16> buffer;
    auto got = co_await pair.there.read(buffer);
    CHECK(got == 0U);
    const auto answered = co_await pair.there.write(as_payload("heard"));
    CHECK(answered);
    got = co_await pair.here.read(buffer);
    CHECK(got == 5U);
    // Without MSG_NOSIGNAL the SIGPIPE would end the test.
    const auto refused = co_await pair.here.write(as_payload("x"));
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == std::errc::broken_pipe);

    beside reader(loop, [&]() -> task<> {
      std::array<std::byte, 16> into;
      const auto end = co_await pair.here.read(into);
      CHECK(end == 0U);
    });
    co_await yield();
    REQUIRE(pair.here.shutdown(stream_half::read));
    co_await reader.join();
    REQUIRE(pair.there.close());
    CHECK(pair.there.shutdown(stream_half::both).error() == errc::closed);
  });
}

TEST_CASE("operations on a connection that was reset give the error") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pair = co_await connect(loop);
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    REQUIRE(::setsockopt(pair.there.native_handle(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    std::error_code seen;
    beside reader(loop, [&]() -> task<> {
      std::array<std::byte, 16> buffer;
      const auto got = co_await pair.here.read(buffer);
      if (!got) seen = got.error();
    });
    co_await yield();
    const endpoint peer = or_throw(pair.here.peer_endpoint());
    REQUIRE(pair.there.close());
    co_await reader.join();
    CHECK(seen == std::errc::connection_reset);
    const auto refused = co_await pair.here.write(as_payload("x"));
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == std::errc::broken_pipe);
    CHECK(or_throw(pair.here.peer_endpoint()) == peer);  // from the conn: the kernel has dropped the name
  });
}

TEST_CASE("operations on a TCP socket that was made non-blocking outside of the conn still wait") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pair = co_await connect(loop);
    for (const int fd : {pair.here.native_handle(), pair.there.native_handle()}) {
      REQUIRE(::fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    }
    const bytes all = pattern(8 << 20);
    beside writer(loop, [&]() -> task<> {
      const auto sent = co_await pair.here.write(all);
      CHECK(sent == all.size());
    });
    const bytes seen = co_await read_exactly(pair.there, all.size());
    CHECK(seen == all);
    co_await writer.join();
    std::optional<std::size_t> got;
    beside reader(loop, [&]() -> task<> {
      std::array<std::byte, 16> buffer;
      const auto count = co_await pair.there.read(buffer);
      if (count) got = *count;
    });
    co_await yield();
    co_await yield();
    CHECK_FALSE(got);
    const auto sent = co_await pair.here.write(as_payload("x"));
    CHECK(sent);
    co_await reader.join();
    CHECK(got == 1U);
  });
}

TEST_CASE("reading and writing a TCP connection allocate nothing") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pair = co_await connect(loop);
    std::array<std::byte, 64> buffer;
    const auto round = [&]() -> task<> {
      for (int i = 0; i < 50; ++i) {
        const auto sent = co_await pair.here.write(as_payload("there"));
        REQUIRE(sent);
        const auto got = co_await pair.there.read(buffer);
        REQUIRE(got);
        const auto back = co_await pair.there.write(std::span(buffer).first(*got));
        REQUIRE(back);
        const auto seen = co_await pair.here.read(buffer);
        REQUIRE(seen);
      }
    };
    co_await round();
    const allocation_count allocated;
    co_await round();
    CHECK(allocated.since() == 0);
  });
}

// --- a caller's mistakes ---

TEST_CASE("bad network words, addresses and options of TCP are errors") {
  event_loop loop;
  for (const char* word : {"", "tcp4", "udp6", "TCP", "tcp6 "}) {
    CHECK(listen_tcp(loop, word, "[::1]:0").error() == errc::unknown_network);
  }
  CHECK(listen_tcp(loop, "tcp6", "[::1]").error() == errc::missing_port);
  CHECK(listen_tcp(loop, "tcp6", "[::g]:1").error() == errc::not_an_address);
  CHECK(listen_tcp(loop, "tcp6", "[fe80::1%nosuch0]:1").error() == errc::unknown_zone);
  CHECK(listen_tcp(loop, "tcp6", "[fe80::1%7654321]:1").error() == errc::unknown_zone);
  CHECK(listen_tcp(loop, "tcp6", "[2001:db8::1]:0").error() == std::errc::address_not_available);
  CHECK(listen_tcp(loop, "tcp6", "127.0.0.1:0").error() == std::errc::invalid_argument);
  CHECK(listen_tcp(loop, "tcp6", "[::1]:0", {.device = "nosuch0"}).error() == errc::unknown_zone);
  CHECK(listen_tcp(loop, "tcp6", "[::1]:0", {.keep_alive = keep_alive{.idle = 0s}}).error() == errc::out_of_range);
  CHECK(listen_tcp(loop, "tcp6", "[::1]:0", {.keep_alive = keep_alive{.idle = 32'768s}}).error() == errc::out_of_range);
  CHECK(listen_tcp(loop, "tcp6", "[::1]:0", {.keep_alive = keep_alive{.probes = 128}}).error() == errc::out_of_range);
  auto listener = open_listener(loop);
  CHECK(listen_tcp(loop, "tcp6", name_of(listener).to_string()).error() == std::errc::address_in_use);
  auto shared = open_listener(loop, {.reuse_port = true});
  CHECK(listen_tcp(loop, "tcp6", name_of(shared).to_string(), {.reuse_port = true}));
  CHECK(listen_tcp(loop, "tcp6", "[2001:db8::1]:0", {.freebind = true}));

  tcp_conn nothing;
  CHECK_FALSE(nothing.is_open());
  CHECK(nothing.close().error() == errc::closed);
  CHECK(nothing.set_no_delay(true).error() == errc::closed);
  CHECK(nothing.set_deadline({}).error() == errc::closed);
  CHECK(nothing.native_handle() == -1);
  run(loop, [&]() -> task<> {
    std::array<std::byte, 4> buffer;
    const auto got = co_await nothing.read(buffer);
    CHECK(got.error() == errc::closed);
    tcp_listener none;
    const auto accepted = co_await none.accept();
    CHECK(accepted.error() == errc::closed);
  });
}

// Registering the read with the stop root may need memory: after the read has checked the token, and before it is
// registered.
TEST_CASE("a stop that comes while a read begins ends it") {
  event_loop loop;
  int met = 0;
  run(loop, [&]() -> task<> {
    auto both = co_await connect(loop);
    const auto reader = [&](scope& all) -> task<> {
      const auto request = [](void* what) { static_cast<scope*>(what)->request_stop(); };
      std::array<std::byte, 8> buffer;
      if (!at_next_allocation(request, &all)) all.request_stop();
      const auto got = co_await both.here.read(buffer);
      CHECK_FALSE(got);
    };
    const auto sleeper = []() -> task<> { (void)co_await sleep_for(1h); };
    scope listeners;  // one more each time, until there is no place left
    for (int i = 0; i < 20; ++i) {
      scope all;
      all.spawn(reader(all));
      co_await yield();
      (void)at_next_allocation(nullptr, nullptr);
      if (all.stop_requested()) ++met;
      all.request_stop();
      co_await all.join();
      listeners.spawn(sleeper());
      co_await yield();
    }
    listeners.request_stop();
    co_await listeners.join();
  });
  CHECK(met > 0);
}

TEST_CASE("a TCP conn of another loop is not awaited on") {
  event_loop one;
  event_loop other;
  auto listener = open_listener(one);
  run(other, [&]() -> task<> {
    const auto got = co_await listener.accept();
    REQUIRE_FALSE(got);
    CHECK(got.error() == errc::wrong_thread);
    const std::string name = name_of(listener).to_string();
    const auto dialed = co_await dial_tcp(one, "tcp6", name);
    REQUIRE_FALSE(dialed);
    CHECK(dialed.error() == errc::wrong_thread);
  });
}

TEST_CASE("no_delay and keep-alive options of a connection read back, and accepted connections inherit them") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    const keep_alive quick{.idle = 3s, .interval = 2s, .probes = 4};
    auto listener = open_listener(loop, {.keep_alive = quick, .no_delay = false});
    const std::string name = name_of(listener).to_string();
    auto here = co_await dial_tcp(loop, "tcp6", name);
    REQUIRE(here);
    auto there = co_await listener.accept();
    REQUIRE(there);
    CHECK(or_throw(here->no_delay()));
    CHECK(or_throw(here->keep_alive()) == keep_alive{});
    CHECK_FALSE(or_throw(there->no_delay()));
    CHECK(or_throw(there->keep_alive()) == quick);

    REQUIRE(here->set_no_delay(false));
    CHECK_FALSE(or_throw(here->no_delay()));
    REQUIRE(here->set_keep_alive({}));
    CHECK(or_throw(here->keep_alive()) == std::nullopt);
    for (const keep_alive& each : {keep_alive{1s, 1s, 1}, keep_alive{32'767s, 32'767s, 127}}) {
      REQUIRE(here->set_keep_alive(each));
      CHECK(or_throw(here->keep_alive()) == each);
    }
    CHECK(here->set_keep_alive(keep_alive{.interval = 0s}).error() == errc::out_of_range);
    CHECK(here->set_keep_alive(keep_alive{.interval = std::chrono::hours(24 * 365 * 200)}).error() ==
          errc::out_of_range);
  });
}

}  // namespace
