// Reads and writes of a connection that may not wait: MSG_DONTWAIT.

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/streams.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

constexpr auto would_wait = std::errc::resource_unavailable_try_again;

TEST_CASE("a TCP read that may not wait reports that there is nothing, takes what is there, and sees the end") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    ends pair = co_await connect(loop);
    std::array<std::byte, 16> buffer;
    for (int i = 0; i < 3; ++i) {
      const auto none = co_await pair.here.read(buffer, read_flags::dont_wait);
      REQUIRE_FALSE(none);
      CHECK(none.error() == would_wait);
    }
    const auto sent = co_await pair.there.write(as_payload("there"));
    REQUIRE(sent);
    auto got = co_await pair.here.read(buffer, read_flags::dont_wait);
    CHECK(got == 5U);
    REQUIRE(pair.there.close());
    got = co_await pair.here.read(buffer);
    CHECK(got == 0U);
    got = co_await pair.here.read(buffer, read_flags::dont_wait);
    CHECK(got == 0U);
    CHECK(pair.here.stats().received_bytes == 5);
  });
}

TEST_CASE("a TCP read that may not wait takes no octets from a reader that waits") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    ends pair = co_await connect(loop);
    std::array<std::byte, 16> buffer;
    std::size_t served = 0;
    beside reader(loop, [&]() -> task<> {
      std::array<std::byte, 16> own;
      const auto got = co_await pair.here.read(own);
      served = got.value_or(0);
    });
    co_await yield();
    auto none = co_await pair.here.read(buffer, read_flags::dont_wait);
    CHECK(none.error() == would_wait);
    const auto sent = co_await pair.there.write(as_payload("one"));
    REQUIRE(sent);
    const bool ended = co_await reader.join();
    REQUIRE(ended);
    CHECK(served == 3);
    none = co_await pair.here.read(buffer, read_flags::dont_wait);
    CHECK(none.error() == would_wait);
  });
}

TEST_CASE("a TCP write that may not wait sends what has room, then reports that there is none") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    ends pair = co_await connect(loop);
    const std::vector<std::byte> much(64 * 1024);
    std::uint64_t taken = 0;
    result<std::size_t> sent = 0;
    while (sent) {
      sent = co_await pair.here.write_some(much, write_flags::dont_wait);
      taken += sent.value_or(0);
    }
    CHECK(sent.error() == would_wait);
    CHECK(taken > 0);
    CHECK(pair.here.stats().sent_bytes == taken);
    // Everything that was taken arrives, and then there is room again.
    const bytes all = co_await read_exactly(pair.there, taken);
    CHECK(all.size() == taken);
    sent = co_await pair.here.write_some(as_payload("again"));
    CHECK(sent == 5U);
  });
}

}  // namespace
