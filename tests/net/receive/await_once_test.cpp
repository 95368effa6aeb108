// An operation of a conn is awaited once: a second await neither reports a second send nor hangs.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <span>
#include <string>

#include "support/case/coroutines.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"
#include "uring6/tcp.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

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

      std::array<write_slot, 2> messages{};
      for (write_slot& each : messages) each.payload = as_payload("once");
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

TEST_CASE("await once: reads of a conn, with a datagram at hand, after a wait, and refused") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    plain_sender from(name_of(to));
    std::array<std::byte, 16> buffer;
    std::array<read_slot, 2> messages{{{.buffer = buffer, .received = {}}, {.buffer = buffer, .received = {}}}};
    for (const bool at_hand : {false, true}) {
      if (at_hand) {
        for (int i = 0; i < 8; ++i) from.send("many");
        co_await sleep_for(1ms);
      }
      const auto one_more = [&] { from.send("once"); };
      one_more();
      auto read = to.read_from(buffer);
      const auto got = co_await read;
      REQUIRE(got);
      const bool read_once = co_await refuses_a_second_await(read);
      CHECK(read_once);

      one_more();
      auto batch = to.read_batch(std::span(messages).first(1));
      const auto filled = co_await batch;
      REQUIRE(filled);
      const bool filled_once = co_await refuses_a_second_await(batch);
      CHECK(filled_once);

      one_more();
      datagram_batch lent;
      auto receive = to.receive(lent);
      const auto received = co_await receive;
      REQUIRE(received);
      const bool received_once = co_await refuses_a_second_await(receive);
      CHECK(received_once);
    }
    REQUIRE(to.set_read_deadline(std::chrono::steady_clock::now()));
    auto late = to.read_from(buffer);
    const auto refused = co_await late;
    CHECK(refused.error() == errc::deadline_exceeded);
    const bool refused_once = co_await refuses_a_second_await(late);
    CHECK(refused_once);
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
