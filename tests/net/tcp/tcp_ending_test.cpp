// The ends of operations on a TCP connection: data that has arrived takes precedence.

#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/descriptors.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/streams.hpp"
#include "uring6/tcp.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

TEST_CASE("a read that is stopped returns the octets that had arrived, or leaves them") {
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
    // The octets have arrived, and the reader has not been resumed yet when the stop comes.
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

TEST_CASE("octets that a destroyed reader had taken go to the next reader, in order") {
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

TEST_CASE("a write that is stopped or destroyed leaves the connection to the other writers") {
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
    // The deadline ends the reads that wait in line, too.
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

TEST_CASE("closing a TCP conn ends its waiting operations, also closing by destruction") {
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

TEST_CASE("a TCP conn that outlives its loop is closed") {
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

TEST_CASE("a released connection works with its new owner") {
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
    const released_tcp released = or_throw(pair.there.release());
    const file_descriptor owned(released.fd);
    CHECK(released.unread.empty());
    co_await reader.join();
    CHECK(seen == errc::closed);
    CHECK_FALSE(pair.there.is_open());
    REQUIRE(::send(owned.get(), "mine", 4, 0) == 4);
    std::array<std::byte, 16> buffer;
    const auto got = co_await pair.here.read(buffer);
    CHECK(got == 4U);
  });
}

}  // namespace
