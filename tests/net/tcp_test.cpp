// TCP listeners and connections: each operation has exactly one outcome, and data beats whatever ends it.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "support/allocations.hpp"
#include "support/bytes.hpp"
#include "support/conns.hpp"
#include "support/coroutines.hpp"
#include "support/descriptors.hpp"
#include "support/eventually.hpp"
#include "sys/socket.hpp"
#include "uring6/scope.hpp"
#include "uring6/tcp.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_any.hpp"
#include "uring6/with_timeout.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

tcp_listener open_listener(event_loop& loop, const tcp_options& options = {}) {
  return or_throw(listen_tcp(loop, "tcp6", "[::1]:0", options));
}

endpoint name_of(const tcp_listener& at) {
  return or_throw(at.local_endpoint());
}

/// Both ends of a connection over ::1.
struct ends {
  tcp_conn here;
  tcp_conn there;
};

task<ends> connect(event_loop& loop) {
  auto listener = open_listener(loop);
  const std::string name = name_of(listener).to_string();
  auto here = co_await dial_tcp(loop, "tcp6", name);
  auto there = co_await listener.accept();
  co_return ends{or_throw(std::move(here)), or_throw(std::move(there))};
}

/// A client that is none of the library's, connected before this returns.
file_descriptor plain_client(const endpoint& to) {
  file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_STREAM));
  or_throw(connect_socket(fd.get(), to));
  return fd;
}

task<bytes> read_exactly(tcp_conn& from, std::size_t length) {
  bytes all(length);
  std::size_t filled = 0;
  while (filled < length) {
    const auto got = co_await from.read(std::span(all).subspan(filled));
    REQUIRE(got);
    if (*got == 0) break;
    filled += *got;
  }
  all.resize(filled);
  co_return all;
}

bytes pattern(std::size_t length) {
  bytes made(length);
  for (std::size_t i = 0; i < length; ++i) made[i] = static_cast<std::byte>(i * 2'654'435'761U >> 16);
  return made;
}

// --- connections ---

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
    // In parts.
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
    // Nothing to do is done at once.
    got = co_await dialed->read({});
    CHECK(got == 0U);
    sent = co_await dialed->write({});
    CHECK(sent == 0U);
    CHECK(dialed->stats().sent_bytes == 5);
    CHECK(dialed->stats().received_bytes == 8);
  });
}

TEST_CASE("write writes all, however slowly the peer reads, and write_some a part") {
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

TEST_CASE("a half that is shut down ends, the other goes on") {
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
    // No SIGPIPE: the test would be gone.
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

TEST_CASE("a connection that is reset says so") {
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
    CHECK(or_throw(pair.here.peer_endpoint()) == peer);  // the kernel has forgotten it
  });
}

TEST_CASE("a TCP socket that was made non-blocking behind the conn's back still waits") {
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

// --- what ends an operation ---

TEST_CASE("a read that is stopped has what had arrived, or leaves it") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pair = co_await connect(loop);
    std::optional<result<std::size_t>> got;
    std::array<std::byte, 16> buffer;
    const auto read = [&]() -> task<> { got = co_await pair.there.read(buffer); };
    {
      beside reader(loop, read());
      co_await yield();
      reader.request_stop();
      co_await reader.join();
      REQUIRE(got);
      REQUIRE_FALSE(*got);
      CHECK(got->error() == errc::canceled);
    }
    // The octets are here, and the reader has not been resumed yet when the stop comes.
    for (int i = 0; i < 50; ++i) {
      got.reset();
      beside reader(loop, read());
      co_await yield();
      REQUIRE(::send(pair.here.native_handle(), "octets", 6, 0) == 6);
      if (i % 2 == 0) co_await yield();
      reader.request_stop();
      co_await reader.join();
      REQUIRE(got);
      if (!*got) got = co_await pair.there.read(buffer);
      REQUIRE(*got == 6U);
      CHECK(as_text(std::span(buffer).first(6)) == "octets");
    }
  });
}

TEST_CASE("octets that a destroyed reader had got are the next one's, in order") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pair = co_await connect(loop);
    std::string seen;
    const auto read_into = [&](std::string& all) -> task<> {
      std::array<std::byte, 4> buffer;
      const auto got = co_await pair.there.read(buffer);
      if (got) all += as_text(std::span(buffer).first(*got));
    };
    std::string expected;
    for (int i = 0; i < 50; ++i) {
      const std::string text = "part" + std::to_string(i) + ";";
      expected += text;
      std::optional<beside> doomed;
      std::string none;
      doomed.emplace(loop, read_into(none));
      beside next(loop, read_into(seen));
      co_await yield();
      REQUIRE(::send(pair.here.native_handle(), text.data(), text.size(), 0) == std::ssize(text));
      doomed.reset();
      co_await next.join();
      while (seen.size() + none.size() < expected.size()) co_await read_into(seen);
      CHECK(none.empty());
      CHECK(seen == expected);
    }
    CHECK(pair.there.stats().received_bytes == expected.size());
  });
}

TEST_CASE("a write that is stopped or destroyed leaves the connection to the others") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pair = co_await connect(loop);
    const bytes all = pattern(16 << 20);
    std::error_code ended;
    const auto write = [&]() -> task<> {
      const auto sent = co_await pair.here.write(all);
      if (!sent) ended = sent.error();
    };
    beside stopped(loop, write());
    std::optional<beside> doomed;
    doomed.emplace(loop, write());
    co_await yield();
    co_await yield();
    stopped.request_stop();
    co_await stopped.join();
    CHECK(ended == errc::canceled);
    co_await yield();
    doomed.reset();
    const std::uint64_t gone = pair.here.stats().sent_bytes;
    CHECK(gone > 0);
    const bytes before = co_await read_exactly(pair.there, gone);
    CHECK(before.size() == gone);
    const auto sent = co_await pair.here.write(as_payload("last"));
    CHECK(sent);
    const bytes last = co_await read_exactly(pair.there, 4);
    CHECK(as_text(last) == "last");
  });
}

TEST_CASE("TCP deadlines are sticky and end reads, writes and accepts") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = open_listener(loop);
    auto pair = co_await connect(loop);
    std::array<std::byte, 16> buffer;
    const bytes all = pattern(16 << 20);
    const auto expect_late = [&]() -> task<> {
      const auto got = co_await pair.here.read(buffer);
      REQUIRE_FALSE(got);
      CHECK(got.error() == errc::deadline_exceeded);
    };
    REQUIRE(pair.here.set_read_deadline(steady_clock::now() + 2ms));
    co_await expect_late();
    co_await expect_late();
    REQUIRE(pair.here.set_write_deadline(steady_clock::now() + 2ms));
    for (int i = 0; i < 2; ++i) {
      const auto sent = co_await pair.here.write(all);
      REQUIRE_FALSE(sent);
      CHECK(sent.error() == errc::deadline_exceeded);
    }
    REQUIRE(pair.here.set_deadline({}));
    const auto back = co_await pair.there.write(as_payload("x"));
    CHECK(back);
    const auto got = co_await pair.here.read(buffer);
    CHECK(got == 1U);
    // Of those in line, too.
    beside one(loop, expect_late());
    beside two(loop, expect_late());
    co_await yield();
    REQUIRE(pair.here.set_deadline(steady_clock::now() - 1s));
    co_await one.join();
    co_await two.join();

    REQUIRE(listener.set_deadline(steady_clock::now() + 2ms));
    for (int i = 0; i < 2; ++i) {
      const auto late = co_await listener.accept();
      REQUIRE_FALSE(late);
      CHECK(late.error() == errc::deadline_exceeded);
    }
    REQUIRE(listener.set_deadline({}));
    const auto client = plain_client(name_of(listener));
    const auto accepted = co_await listener.accept();
    CHECK(accepted);
  });
}

TEST_CASE("closing a TCP conn ends what waits on it, also by its destruction") {
  event_loop loop;
  const std::size_t before = open_descriptors();
  run(loop, [&]() -> task<> {
    std::optional<ends> pair = co_await connect(loop);
    std::vector<std::error_code> seen;
    const auto read = [&]() -> task<> {
      std::array<std::byte, 16> buffer;
      const auto got = co_await pair->here.read(buffer);
      seen.push_back(got ? std::error_code() : got.error());
    };
    const bytes all = pattern(16 << 20);
    const auto write = [&]() -> task<> {
      const auto sent = co_await pair->here.write(all);
      seen.push_back(sent ? std::error_code() : sent.error());
    };
    {
      beside a(loop, read());
      beside b(loop, read());
      beside c(loop, write());
      beside d(loop, write());
      co_await yield();
      REQUIRE(pair->here.close());
      CHECK(pair->here.close().error() == errc::closed);
      co_await a.join();
      co_await b.join();
      co_await c.join();
      co_await d.join();
    }
    CHECK(seen == std::vector<std::error_code>(4, errc::closed));
    seen.clear();
    const auto got = co_await pair->here.read({});
    CHECK(got.error() == errc::closed);

    pair = co_await connect(loop);
    beside a(loop, read());
    co_await yield();
    pair.reset();
    co_await a.join();
    CHECK(seen == std::vector<std::error_code>{errc::closed});
  });
  CHECK(open_descriptors() == before);
}

TEST_CASE("a TCP conn outlives its loop, closed") {
  tcp_conn here;
  tcp_listener listener;
  {
    event_loop loop;
    run(loop, [&]() -> task<> {
      listener = open_listener(loop);
      auto pair = co_await connect(loop);
      here = std::move(pair.here);
    });
    CHECK(here.is_open());
  }
  CHECK_FALSE(here.is_open());
  CHECK_FALSE(listener.is_open());
  CHECK(here.local_endpoint().error() == errc::closed);
  CHECK(here.peer_endpoint().error() == errc::closed);
  CHECK(listener.local_endpoint().error() == errc::closed);
  CHECK(listener.close().error() == errc::closed);
  CHECK(here.shutdown(stream_half::both).error() == errc::closed);
  CHECK(here.release().error() == errc::closed);
}

TEST_CASE("a released connection goes on with its new owner") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pair = co_await connect(loop);
    std::error_code seen;
    beside reader(loop, [&]() -> task<> {
      std::array<std::byte, 16> buffer;
      const auto got = co_await pair.there.read(buffer);
      if (!got) seen = got.error();
    });
    co_await yield();
    const file_descriptor owned(or_throw(pair.there.release()));
    co_await reader.join();
    CHECK(seen == errc::closed);
    CHECK_FALSE(pair.there.is_open());
    REQUIRE(::send(owned.get(), "mine", 4, 0) == 4);
    std::array<std::byte, 16> buffer;
    const auto got = co_await pair.here.read(buffer);
    CHECK(got == 4U);
  });
}

// --- accepting ---

TEST_CASE("more connections than are accepted ahead all come, in order") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = open_listener(loop);
    std::vector<file_descriptor> clients;
    for (int i = 0; i < 200; ++i) clients.push_back(plain_client(name_of(listener)));
    for (const file_descriptor& each : clients) {
      auto got = co_await listener.accept();
      REQUIRE(got);
      CHECK(or_throw(got->peer_endpoint()) == or_throw(local_endpoint(each.get())));
    }
  });
}

TEST_CASE("an accept that loses to a timer, a stop or its destruction takes no connection along") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = open_listener(loop);
    int accepted = 0;
    int lost = 0;
    for (int i = 0; i < 60; ++i) {
      const auto client = plain_client(name_of(listener));
      std::optional<result<tcp_conn>> got;
      const auto accept = [&]() -> task<> { got = co_await listener.accept(); };
      std::optional<beside> acceptor;
      acceptor.emplace(loop, accept());
      for (int turns = 0; turns < i % 4; ++turns) co_await yield();
      if (i % 2 == 0) {
        acceptor->request_stop();
        co_await acceptor->join();
      }
      acceptor.reset();
      if (!got || !*got) {
        ++lost;
        if (got) CHECK(got->error() == errc::canceled);
        got = co_await listener.accept();
      }
      REQUIRE(got);
      REQUIRE(*got);
      ++accepted;
      CHECK(or_throw((*got)->peer_endpoint()) == or_throw(local_endpoint(client.get())));
    }
    CHECK(accepted == 60);
    CHECK(lost > 0);

    auto late = co_await with_timeout(1ms, listener.accept());
    REQUIRE_FALSE(late);
    CHECK(late.error() == errc::deadline_exceeded);
    const auto client = plain_client(name_of(listener));
    auto in_time = co_await with_timeout(1h, listener.accept());
    REQUIRE(in_time);
    CHECK(or_throw(in_time->peer_endpoint()) == or_throw(local_endpoint(client.get())));
    const auto nobody = co_await when_any(listener.accept(), sleep_for(1ms));
    CHECK(nobody.index == 1);
  });
}

TEST_CASE("several acceptors are served in the order in which they came, and closing ends them") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = open_listener(loop);
    const endpoint name = name_of(listener);
    std::string order;
    std::vector<std::error_code> errors;
    const auto accept = [&](char who) -> task<> {
      const auto got = co_await listener.accept();
      if (got) {
        order += who;
      } else {
        errors.push_back(got.error());
      }
    };
    beside a(loop, accept('a'));
    beside b(loop, accept('b'));
    beside c(loop, accept('c'));
    beside d(loop, accept('d'));
    co_await yield();
    const auto one = plain_client(name);
    const auto two = plain_client(name);
    co_await a.join();
    co_await b.join();
    CHECK(order == "ab");
    REQUIRE(listener.close());
    co_await c.join();
    co_await d.join();
    CHECK(errors == std::vector<std::error_code>(2, errc::closed));
    // The port is free.
    auto again = listen_tcp(loop, "tcp6", name.to_string());
    CHECK(again);
    // What nobody took is closed with the listener.
    auto third = plain_client(name);
    beside e(loop, [&]() -> task<> {
      const auto got = co_await again->accept();
      CHECK(got);
    });
    co_await e.join();
    const auto fourth = plain_client(name);
    co_await yield();
    REQUIRE(again->close());
    std::array<char, 1> octet;
    CHECK(::recv(fourth.get(), octet.data(), 1, 0) <= 0);
  });
}

TEST_CASE("an accept without a descriptor to spare says so, and can be tried again") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = open_listener(loop);
    const auto client = plain_client(name_of(listener));
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const int next = ::dup(0);
    REQUIRE(next >= 0);
    REQUIRE(::close(next) == 0);
    rlimit none = before;
    none.rlim_cur = static_cast<rlim_t>(next);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    const auto refused = co_await listener.accept();
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == std::errc::too_many_files_open);
    const auto accepted = co_await listener.accept();
    CHECK(accepted);
  });
}

TEST_CASE("dual stack: an IPv4 peer has a v4-mapped address") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = or_throw(listen_tcp(loop, "tcp", "[::]:0"));
    const std::string to = "127.0.0.1:" + std::to_string(name_of(listener).port);
    auto here = co_await dial_tcp(loop, "tcp", to);
    REQUIRE(here);
    auto there = co_await listener.accept();
    REQUIRE(there);
    CHECK(or_throw(there->peer_endpoint()).address == ip_address::v4_mapped({127, 0, 0, 1}));
    CHECK(or_throw(here->peer_endpoint()).address == ip_address::v4_mapped({127, 0, 0, 1}));
  });
}

// --- what a caller can get wrong ---

TEST_CASE("bad words, addresses and options of TCP are errors") {
  event_loop loop;
  for (const char* word : {"", "tcp4", "udp6", "TCP", "tcp6 "}) {
    CHECK(listen_tcp(loop, word, "[::1]:0").error() == errc::unknown_network);
  }
  CHECK(listen_tcp(loop, "tcp6", "[::1]").error() == errc::missing_port);
  CHECK(listen_tcp(loop, "tcp6", "[::g]:1").error() == errc::bad_address);
  CHECK(listen_tcp(loop, "tcp6", "[fe80::1%nosuch0]:1").error() == errc::unknown_zone);
  CHECK(listen_tcp(loop, "tcp6", "[fe80::1%7654321]:1").error() == errc::unknown_zone);
  CHECK(listen_tcp(loop, "tcp6", "[2001:db8::1]:0").error() == std::errc::address_not_available);
  CHECK(listen_tcp(loop, "tcp6", "127.0.0.1:0").error() == std::errc::invalid_argument);
  CHECK(listen_tcp(loop, "tcp6", "[::1]:0", {.device = "nosuch0"}).error() == errc::unknown_zone);
  CHECK(listen_tcp(loop, "tcp6", "[::1]:0", {.probes = keep_alive{.idle = 0s}}).error() == errc::out_of_range);
  CHECK(listen_tcp(loop, "tcp6", "[::1]:0", {.probes = keep_alive{.idle = 32'768s}}).error() == errc::out_of_range);
  CHECK(listen_tcp(loop, "tcp6", "[::1]:0", {.probes = keep_alive{.probes = 128}}).error() == errc::out_of_range);
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

// The read's place among those who listen for a stop may need memory: after the look at the token, and before it hears.
TEST_CASE("a stop that comes in the middle of a read's beginning ends it") {
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
    scope listeners;  // one more each time: at last there is no place left
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

TEST_CASE("no_delay and the probes of a connection read back, and are inherited from the listener") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    const keep_alive quick{.idle = 3s, .interval = 2s, .probes = 4};
    auto listener = open_listener(loop, {.probes = quick, .no_delay = false});
    const std::string name = name_of(listener).to_string();
    auto here = co_await dial_tcp(loop, "tcp6", name);
    REQUIRE(here);
    auto there = co_await listener.accept();
    REQUIRE(there);
    CHECK(or_throw(here->no_delay()));
    CHECK(or_throw(here->probes()) == keep_alive{});
    CHECK_FALSE(or_throw(there->no_delay()));
    CHECK(or_throw(there->probes()) == quick);

    REQUIRE(here->set_no_delay(false));
    CHECK_FALSE(or_throw(here->no_delay()));
    REQUIRE(here->set_probes({}));
    CHECK(or_throw(here->probes()) == std::nullopt);
    for (const keep_alive& each : {keep_alive{1s, 1s, 1}, keep_alive{32'767s, 32'767s, 127}}) {
      REQUIRE(here->set_probes(each));
      CHECK(or_throw(here->probes()) == each);
    }
    CHECK(here->set_probes(keep_alive{.interval = 0s}).error() == errc::out_of_range);
    CHECK(here->set_probes(keep_alive{.interval = std::chrono::hours(24 * 365 * 200)}).error() == errc::out_of_range);
  });
}

}  // namespace
