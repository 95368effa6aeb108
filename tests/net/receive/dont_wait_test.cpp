// Reads and writes of one datagram that may not wait: MSG_DONTWAIT.

#include <array>
#include <catch2/catch_test_macros.hpp>

#include "support/case/coroutines.hpp"
#include "support/traffic/conns.hpp"
#include "uring6/datagram_batch.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

constexpr auto would_wait = std::errc::resource_unavailable_try_again;

TEST_CASE("a read_from that may not wait reports an empty socket, and takes a datagram that is there") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    std::array<std::byte, 16> buffer;
    for (int i = 0; i < 3; ++i) {
      const auto none = co_await at.read_from(buffer, read_flags::dont_wait);
      REQUIRE_FALSE(none);
      CHECK(none.error() == would_wait);
    }
    const auto sent = co_await at.write_to(as_payload("there"), name_of(at));
    REQUIRE(sent);
    auto got = co_await at.read_from(buffer, read_flags::dont_wait);
    while (!got && got.error() == would_wait) got = co_await at.read_from(buffer, read_flags::dont_wait);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "there");
    REQUIRE(at.close());
    got = co_await at.read_from(buffer, read_flags::dont_wait);
    CHECK(got.error() == errc::closed);
  });
}

TEST_CASE("a read_from that may not wait takes no datagram from a reader that waits") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    std::array<std::byte, 16> buffer;
    bool served = false;
    beside reader(loop, [&]() -> task<> {
      std::array<std::byte, 16> own;
      const auto got = co_await at.read_from(own);
      served = got.has_value();
    });
    co_await yield();
    const auto sent = co_await at.write_to(as_payload("one"), name_of(at));
    REQUIRE(sent);
    while (!reader.ended()) {
      const auto none = co_await at.read_from(buffer, read_flags::dont_wait);
      CHECK(none.error() == would_wait);
    }
    CHECK(served);
  });
}

TEST_CASE("a receive that may not wait reports an empty socket, and lends a datagram that is there") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    datagram_batch batch;
    auto count = co_await at.receive(batch, read_flags::dont_wait);
    REQUIRE_FALSE(count);
    CHECK(count.error() == would_wait);
    CHECK(batch.empty());
    const auto sent = co_await at.write_to(as_payload("lent"), name_of(at));
    REQUIRE(sent);
    while (!count && count.error() == would_wait) count = co_await at.receive(batch, read_flags::dont_wait);
    CHECK(count == 1U);
    REQUIRE_FALSE(batch.empty());
    CHECK(as_text(batch.begin()->payload) == "lent");
  });
}

}  // namespace
