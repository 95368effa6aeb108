// tcp_conn::release: a connection moves to another owner with all octets that were read from it and not handed out.

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include "support/case/coroutines.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/descriptors.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/streams.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/descriptor.hpp"
#include "uring6/tcp.hpp"
#include "uring6/with_timeout.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

void put(const tcp_conn& into, std::string_view text) {
  REQUIRE(::send(into.native_handle(), text.data(), text.size(), 0) == std::ssize(text));
}

task<std::string> read_text(tcp_conn& from, std::size_t length) {
  const bytes all = co_await read_exactly(from, length);
  co_return std::string(as_text(all));
}

/// Starts a read and stops it when the kernel has filled its buffer: the conn keeps those octets.
task<> keep_octets(event_loop& loop, tcp_conn& from, std::size_t length) {
  bytes buffer(length);
  beside reader(loop, [&]() -> task<> {
    const auto got = co_await from.read(buffer);
    CHECK(got.error() == errc::canceled);
  });
  co_await yield();
  co_await yield();
  reader.request_stop();
  co_await reader.join();
}

TEST_CASE("a released connection hands over the octets that it kept, and works with them in another loop") {
  event_loop first;
  event_loop second;
  std::optional<tcp_conn> peer;
  std::optional<released_tcp> released;
  run(first, [&]() -> task<> {
    auto pair = co_await connect(first);
    put(pair.here, "ABCDEFGHIJKLMNOP");
    co_await keep_octets(first, pair.there, 8);
    std::array<std::byte, 3> buffer;
    const auto got = co_await pair.there.read(buffer);
    REQUIRE(got == 3U);
    CHECK(as_text(buffer) == "ABC");
    released = or_throw(pair.there.release());
    CHECK(as_text(released->unread) == "DEFGH");
    CHECK_FALSE(pair.there.is_open());
    CHECK(pair.there.stats().received_bytes == 3);
    REQUIRE(released->fd >= 0);
    peer = tcp_conn();
    // Both ends are released; the other one has no octets to hand over.
    const released_tcp other = or_throw(pair.here.release());
    CHECK(other.unread.empty());
    peer = or_throw(adopt_tcp(second, other));
  });
  run(second, [&]() -> task<> {
    auto at = or_throw(adopt_tcp(second, *released));
    const std::string text = co_await read_text(at, 13);
    CHECK(text == "DEFGHIJKLMNOP");
    CHECK(at.stats().received_bytes == 13);
    const auto sent = co_await peer->write(as_payload("more"));
    CHECK(sent);
    const std::string more = co_await read_text(at, 4);
    CHECK(more == "more");
  });
}

TEST_CASE("a connection that is released while its reader has octets hands them over, and the reader gets none") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pair = co_await connect(loop);
    for (int turns = 0; turns < 3; ++turns) {
      std::error_code seen;
      beside reader(loop, [&]() -> task<> {
        std::array<std::byte, 16> buffer;
        const auto got = co_await pair.there.read(buffer);
        if (!got) seen = got.error();
      });
      beside next(loop, [&]() -> task<> {
        std::array<std::byte, 16> buffer;
        const auto got = co_await pair.there.read(buffer);
        CHECK(got.error() == errc::closed);
      });
      co_await yield();
      put(pair.here, "octets");
      if (turns > 0) co_await yield();  // the reader has them, and is behind this coroutine in the ready queue
      const released_tcp released = or_throw(pair.there.release());
      co_await reader.join();
      co_await next.join();
      CHECK(seen == errc::closed);
      pair.there = or_throw(adopt_tcp(loop, released));
      const std::string text = co_await read_text(pair.there, 6);
      CHECK(text == "octets");
    }
  });
}

TEST_CASE("a released connection that was reset hands the error over, and its next owner reads no end of the stream") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pair = co_await connect(loop);
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    REQUIRE(::setsockopt(pair.here.native_handle(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    REQUIRE(pair.here.close());
    co_await keep_octets(loop, pair.there, 8);
    const released_tcp released = or_throw(pair.there.release());
    CHECK(released.error == std::errc::connection_reset);
    auto next = or_throw(adopt_tcp(loop, released));
    std::array<std::byte, 16> buffer;
    const auto got = co_await next.read(buffer);
    REQUIRE_FALSE(got);
    CHECK(got.error() == std::errc::connection_reset);
    const auto end = co_await next.read(buffer);
    CHECK(end == 0U);
  });
}

/// How a connection ended before it was released: the peer wrote these octets, and closed in order or by a reset.
struct ending {
  bool reset;
  std::size_t written;
  std::size_t read_before;
};

TEST_CASE("a connection that has ended is handed over with what is in the kernel, and its peer's address") {
  const ending how = GENERATE(ending{false, 10, 0}, ending{false, 10, 4}, ending{false, 0, 0}, ending{true, 10, 0},
                              ending{true, 10, 4}, ending{true, 0, 0});
  CAPTURE(how.reset, how.written, how.read_before);
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto pair = co_await connect(loop);
    const endpoint peer = or_throw(pair.here.local_endpoint());
    const bytes octets(how.written);
    if (how.written > 0) {
      const auto sent = co_await pair.here.write(octets);
      REQUIRE(sent);
    }
    if (how.read_before > 0) co_await read_exactly(pair.there, how.read_before);
    // Both halves have ended: the kernel keeps the connection until its octets are read, and forgets the peer.
    REQUIRE(pair.there.shutdown(stream_half::write));
    std::array<std::byte, 1> none;
    const auto end = co_await pair.here.read(none);
    REQUIRE(end == 0U);
    if (how.reset) {
      const linger at_once{.l_onoff = 1, .l_linger = 0};
      REQUIRE(::setsockopt(pair.here.native_handle(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    }
    REQUIRE(pair.here.close());
    const auto ended = co_await fd::poll(pair.there.native_handle(), poll_events::peer_closed);
    REQUIRE(ended);
    REQUIRE(eventually([&] { return !uring6::peer_endpoint(pair.there.native_handle()); }));

    const released_tcp released = or_throw(pair.there.release());
    CHECK(released.peer == peer);
    auto next = or_throw(adopt_tcp(loop, released));
    CHECK(next.peer_endpoint() == peer);
    if (how.written > how.read_before) {
      const bytes rest = co_await read_exactly(next, how.written - how.read_before);
      CHECK(rest.size() == how.written - how.read_before);
    }
    const auto last = co_await next.read(none);
    CHECK(last.has_value() != how.reset);
    if (how.reset) CHECK(last.error() == std::errc::connection_reset);
  });
}

TEST_CASE("after a refused adoption the caller still has the released connection") {
  event_loop loop;
  const std::size_t before = open_descriptors();
  {
    const file_descriptor file(::open("/dev/null", O_RDWR | O_CLOEXEC));
    const released_tcp wrong{.fd = file.get(), .unread = bytes(4), .error = {}};
    const auto refused = adopt_tcp(loop, wrong);
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == std::errc::not_a_socket);
    CHECK(wrong.unread.size() == 4);
    CHECK(::fcntl(file.get(), F_GETFD) >= 0);
  }
  CHECK(open_descriptors() == before);
}

}  // namespace
