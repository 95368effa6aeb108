// Errors that pend in a socket which keeps reports: which write or read they end, and that they end one.

#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cerrno>
#include <chrono>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/narrow_path.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/error_reports.hpp"
#include "sys/socket/socket.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

TEST_CASE("a path MTU error that meets a train ends a read, and all datagrams of the train leave") {
  const narrow_path path;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = path.cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    REQUIRE(at.set_error_reports(true));
    const std::vector<std::byte> wide(1400);
    std::vector<write_slot> train(10, {wide, {}, {path.beyond, 9}, {}});
    auto sent = co_await at.write_batch(train);
    REQUIRE(sent);
    co_await await_report(at);
    SECTION("a read that waits") {
      std::error_code seen;
      beside reader(loop, [&]() -> task<> {
        std::array<std::byte, 16> buffer;
        const auto got = co_await at.read_from(buffer);
        if (!got) seen = got.error();
      });
      sent = co_await at.write_batch(train);
      CHECK(sent == train.size());
      co_await reader.join();
      CHECK(seen == std::errc::message_size);
    }
    SECTION("a later read") {
      sent = co_await at.write_batch(train);
      CHECK(sent == train.size());
      std::array<std::byte, 16> buffer;
      const auto got = co_await at.read_from(buffer);
      CHECK(got.error() == std::errc::message_size);
    }
    reports room;
    const auto count = at.read_errors(room.all);
    REQUIRE(count);
    REQUIRE(*count > 0);
    CHECK(room.all[0].info == 1280);
    CHECK(room.all[0].destination == endpoint{path.beyond, 9});
  });
}

/// Makes a report that waits in the socket's queue, and an error that a write has had: behind it none pends.
task<> leave_a_report(packet_conn& at, const endpoint& there) {
  REQUIRE(at.set_dont_fragment(true));
  const std::vector<std::byte> longer(1500);
  std::vector<write_slot> one{{longer, {}, there, {}}};
  const auto refused = co_await at.write_batch(one);
  CHECK(refused.error() == std::errc::message_size);
  REQUIRE(at.set_dont_fragment(false));
}

TEST_CASE(
    "the news of a path's MTU that meets a train ends one read, also of a connected conn, and behind old reports") {
  const bool connected = GENERATE(false, true);
  const bool behind_another = GENERATE(false, true);
  CAPTURE(connected, behind_another);
  const narrow_path path;
  const endpoint there{path.beyond, 9};
  event_loop loop;
  run(loop, [&]() -> task<> {
    const auto open = [&] {
      return path.cable.near.space.run([&] {
        return or_throw(connected ? dial_packet(loop, "udp6", there) : listen_packet(loop, "udp6", "[::]:0"));
      });
    };
    auto at = open();
    REQUIRE(at.set_error_reports(true));
    if (behind_another) co_await leave_a_report(at, there);
    const std::vector<std::byte> wide(1400);
    std::vector<write_slot> train(10, {wide, {}, there, {}});
    auto sent = co_await at.write_batch(train);
    REQUIRE(sent);
    REQUIRE(eventually([&] {
      return path.cable.near.space.run([&] { return or_throw(dial_packet(loop, "udp6", there)).path_mtu() == 1280U; });
    }));
    co_await await_report(at);

    sent = co_await at.write_batch(train);
    CHECK(sent == train.size());
    CHECK(at.stats().sent_datagrams == 2 * train.size());
    REQUIRE(at.set_read_deadline(std::chrono::steady_clock::now() + patience / 4));
    std::array<std::byte, 16> buffer;
    const auto got = co_await at.read_from(buffer);
    CHECK(got.error() == std::errc::message_size);
    // The path refuses trains now, which is no news.
    for (int i = 0; i < 3; ++i) {
      sent = co_await at.write_batch(train);
      CHECK(sent == train.size());
    }
    read_slot room{buffer, {}};
    const auto more = co_await at.read_batch({&room, 1}, read_flags::dont_wait);
    CHECK(more.error() == std::errc::resource_unavailable_try_again);
    CHECK(at.stats().receive_errors == 1);
    reports kept;
    CHECK(at.read_errors(kept.all) == (behind_another ? 2U : 1U));
  });
}

TEST_CASE("an answer that pends while old reports wait ends a write of a connected conn, once") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = dial(loop, nobody(loop));
    REQUIRE(at.set_error_reports(true));
    reports kept;
    for (const bool batch : {false, true}) {
      CAPTURE(batch);
      auto sent = co_await at.write("heard by none");
      REQUIRE(sent);
      co_await await_report(at);
      if (batch) {
        std::vector<write_slot> train(4, {as_payload("next"), {}, {}, {}});
        const auto refused = co_await at.write_batch(train);
        REQUIRE(refused);
        CHECK(train[0].error == std::errc::connection_refused);
      } else {
        sent = co_await at.write("next");
        CHECK(sent.error() == std::errc::connection_refused);
      }
    }
    CHECK(at.stats().receive_errors == 0);
  });
}

TEST_CASE("errors that come while no read waits are each counted, and the last one ends a read") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    auto to = open_conn(loop);
    REQUIRE(at.set_error_reports(true));
    const endpoint there = nobody(loop);
    constexpr std::uint64_t errors = 3;
    for (std::uint64_t i = 0; i < errors; ++i) {
      auto sent = co_await at.write_to(as_payload("knock"), there);
      REQUIRE(sent);
      co_await await_report(at);
      sent = co_await at.write_to(as_payload("meets the error"), name_of(to));
      REQUIRE(sent);
      reports room;
      REQUIRE(at.read_errors(room.all) == 1U);
      CHECK(at.stats().receive_errors == i + 1);
    }
    std::array<std::byte, 16> buffer;
    const auto got = co_await at.read_from(buffer);
    CHECK(got.error() == std::errc::connection_refused);
    read_slot room{buffer, {}};
    const auto more = co_await at.read_batch({&room, 1}, read_flags::dont_wait);
    CHECK(more.error() == std::errc::resource_unavailable_try_again);
    CHECK(at.stats().receive_errors == errors);
    CHECK(at.stats().failed_datagrams == 0);
  });
}

TEST_CASE("an error ends a read behind the datagrams that came before it, also where the turn's budget is used up") {
  event_loop loop(loop_options{.budget = 1});
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    auto from = open_conn(loop);
    REQUIRE(at.set_error_reports(true));
    constexpr std::uint64_t count = 4;
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto sent = co_await from.write_to(numbered(i), name_of(at));
      REQUIRE(sent);
    }
    std::array<std::byte, 16> buffer;
    const auto first = co_await at.read_from(buffer);  // arms the read that takes the others, too
    REQUIRE(first);
    auto sent = co_await at.write_to(as_payload("knock"), nobody(loop));
    REQUIRE(sent);
    co_await await_report(at);
    sent = co_await at.write_to(as_payload("meets the error"), name_of(from));
    REQUIRE(sent);
    for (std::uint64_t i = 1; i < count; ++i) {
      const auto got = co_await at.read_from(buffer);
      REQUIRE(got);
      CHECK(number_in(got->payload) == i);
    }
    const auto refused = co_await at.read_from(buffer);
    CHECK(refused.error() == std::errc::connection_refused);
  });
}

TEST_CASE("an error of another destination keeps no datagram from being sent, and ends a read") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    for (const bool ahead : {false, true}) {
      CAPTURE(ahead);
      auto at = open_conn(loop, {.coalesce_writes = ahead});
      auto to = open_conn(loop);
      REQUIRE(at.set_error_reports(true));
      const endpoint there = nobody(loop);
      constexpr std::uint64_t count = 200;
      for (std::uint64_t i = 0; i < count; ++i) {
        auto sent = co_await at.write_to(as_payload("knock"), there);
        REQUIRE(sent);
        sent = co_await at.write_to(numbered(i), name_of(to));
        REQUIRE(sent);
        const auto flushed = co_await at.flush();
        REQUIRE(flushed);
      }
      std::array<std::byte, 16> buffer;
      for (std::uint64_t i = 0; i < count; ++i) {
        const auto got = co_await to.read_from(buffer);
        REQUIRE(got);
        REQUIRE(number_in(got->payload) == i);
      }
      CHECK(at.stats().failed_datagrams == 0);
      const auto refused = co_await at.read_from(buffer);
      CHECK(refused.error() == std::errc::connection_refused);
      // A batch to the two destinations in turn.
      std::vector<write_slot> batch;
      const numbered last(count);
      for (int i = 0; i < 10; ++i) {
        batch.push_back({as_payload("knock"), {}, there, {}});
        batch.push_back({last, {}, name_of(to), {}});
      }
      const auto sent = co_await at.write_batch(batch);
      CHECK(sent == batch.size());
      const auto flushed = co_await at.flush();
      CHECK(flushed);
      for (int i = 0; i < 10; ++i) {
        const auto got = co_await to.read_from(buffer);
        REQUIRE(got);
        CHECK(number_in(got->payload) == count);
      }
    }
  });
}

TEST_CASE("the error of its own datagram ends a write on a conn that keeps reports, and no read") {
  const network_namespace space;
  const auto inside = space.enter();
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = or_throw(listen_packet(loop, "udp6", "[::]:0"));
    REQUIRE(at.set_error_reports(true));
    const auto sent = co_await at.write_to(as_payload("x"), {or_throw(ip_address::parse("2001:db8::9")), 9});
    CHECK(sent.error() == std::errc::network_unreachable);
    const auto self = co_await at.write_to(as_payload("self"), {ip_address::loopback(), name_of(at).port});
    REQUIRE(self);
    std::array<std::byte, 16> buffer;
    const auto got = co_await at.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "self");
  });
}

}  // namespace
