// An operation of a conn is awaited once: what it has sent is not said to be sent again, and nothing hangs.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "support/conns.hpp"
#include "support/coroutines.hpp"
#include "uring6/tcp.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

TEST_CASE("await once: writes of a conn, at once and ahead, and a flush") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    for (const bool ahead : {false, true}) {
      auto to = open_conn(loop);
      auto from = dial(loop, name_of(to), {.coalesce_writes = ahead});
      auto write = from.write(as_payload("once"));
      const auto sent = co_await write;
      CHECK(sent == 4U);
      const bool sent_once = co_await refuses_a_second_await(write);
      CHECK(sent_once);

      std::array<outgoing, 2> messages{};
      for (outgoing& each : messages) each.payload = as_payload("once");
      auto batch = from.write_batch(messages);
      const auto gone = co_await batch;
      CHECK(gone == 2U);
      const bool gone_once = co_await refuses_a_second_await(batch);
      CHECK(gone_once);

      auto flush = from.flush();
      const auto flushed = co_await flush;
      CHECK(flushed.has_value());
      const bool flushed_once = co_await refuses_a_second_await(flush);
      CHECK(flushed_once);
      CHECK(from.stats().sent_datagrams == 3);
    }
  });
}

TEST_CASE("await once: an accept, a dial, and reads and writes of a stream") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = or_throw(listen_tcp(loop, "tcp6", "[::1]:0"));
    const std::string name = or_throw(listener.local_endpoint()).to_string();
    auto dial = dial_tcp(loop, "tcp6", name);
    auto here = co_await dial;
    REQUIRE(here);
    const bool dialed_once = co_await refuses_a_second_await(dial);
    CHECK(dialed_once);
    auto accept = listener.accept();
    auto there = co_await accept;
    REQUIRE(there);
    const bool accepted_once = co_await refuses_a_second_await(accept);
    CHECK(accepted_once);

    for (const bool all : {true, false}) {
      auto write = all ? here->write(as_payload("once")) : here->write_some(as_payload("once"));
      const auto sent = co_await write;
      CHECK(sent == 4U);
      const bool sent_once = co_await refuses_a_second_await(write);
      CHECK(sent_once);
    }
    CHECK(here->stats().sent_bytes == 8);

    std::array<std::byte, 4> buffer{};
    auto read = there->read(buffer);
    const auto got = co_await read;
    CHECK(got == 4U);
    const bool got_once = co_await refuses_a_second_await(read);
    CHECK(got_once);
    CHECK(there->stats().received_bytes == 4);
  });
}

}  // namespace
