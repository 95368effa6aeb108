// State that a conn learns about a path, and its expiry: trains are used again when the path has recovered.
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <cstring>
#include <span>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/receive_room.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/packet_capture.hpp"
#include "uring6/descriptor.hpp"
#include "uring6/icmp.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr std::size_t datagrams = 10;  // of a train

struct narrowing {
  veth_pair cable;
  event_loop loop;
  std::vector<std::byte> text = std::vector<std::byte>(1450);
  std::vector<std::byte> buffer = std::vector<std::byte>(2048);
  std::uint64_t written = 0;

  packet_conn sender(const packet_options& options = {}) {
    return cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0", options)); });
  }
  packet_conn receiver() {
    return cable.far.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
  }
  void set_near_mtu(std::uint32_t mtu) {
    cable.near.space.run([&] { set_mtu(cable.near.link.index, mtu); });
  }

  /// Writes a train, and reads the datagrams that arrive: all of them.
  task<> exchange(packet_conn& from, packet_conn& to) {
    std::vector<write_slot> batch(datagrams, {text, {}, {cable.far.address, name_of(to).port}, {}});
    const auto sent = co_await from.write_batch(batch);
    REQUIRE(sent);
    REQUIRE(*sent == datagrams);
    const auto flushed = co_await from.flush();
    REQUIRE(flushed);
    written += datagrams;
    for (std::size_t i = 0; i < datagrams; ++i) {
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      REQUIRE(got->payload.size() == text.size());
    }
  }

  /// The far host sends an ICMPv6 Packet Too Big about a packet that it received (RFC 4443, 3.2).
  task<> report_too_big(packet about, std::uint32_t mtu) {
    auto router = cable.far.space.run([&] { return or_throw(listen_packet(loop, "ip6:58", "::")); });
    about.resize(std::min<std::size_t>(about.size(), 1000));
    std::vector<std::byte> message(1280);
    const icmp::packet_too_big body{.mtu = mtu, .data = std::as_bytes(std::span(about))};
    message.resize(or_throw(icmp::encode(body, message)));
    const endpoint origin{cable.near.address, 0};
    const auto sent = co_await router.write_to(message, origin);
    REQUIRE(sent);
  }

  /// Repeats the exchange until trains are used. The limit ends a test that has failed.
  task<bool> exchange_until_trains_go(packet_conn& from, packet_conn& to) {
    const std::uint64_t before = from.stats().sent_trains;
    const auto limit = steady_clock::now() + 20s;
    while (from.stats().sent_trains == before && steady_clock::now() < limit) {
      co_await exchange(from, to);
      co_await sleep_for(20ms);
    }
    co_return from.stats().sent_trains > before;
  }
};

TEST_CASE("trains are used again on a path whose MTU has recovered, and no datagram is lost meanwhile") {
  narrowing path;
  run(path.loop, [&]() -> task<> {
    for (const bool ahead : {false, true}) {
      CAPTURE(ahead);
      path.written = 0;
      auto from = path.sender({.coalesce_writes = ahead});
      auto to = path.receiver();
      co_await path.exchange(from, to);
      REQUIRE(from.stats().sent_trains == 1);
      path.set_near_mtu(1400);
      co_await path.exchange(from, to);
      REQUIRE(from.stats().refused_trains == 1);
      path.set_near_mtu(1500);
      const bool back = co_await path.exchange_until_trains_go(from, to);
      CHECK(back);
      // From then on every train leaves as a train.
      const std::uint64_t before = from.stats().sent_trains;
      for (int i = 0; i < 10; ++i) co_await path.exchange(from, to);
      CHECK(from.stats().sent_trains == before + 10);
      CHECK(from.stats().refused_trains == 1);
      CHECK(from.stats().sent_datagrams == path.written);
      CHECK(from.stats().failed_datagrams == 0);
    }
  });
}

TEST_CASE("a path that stays narrow is tried with one train a second, also amid single datagrams") {
  narrowing path;
  run(path.loop, [&]() -> task<> {
    auto from = path.sender();
    auto to = path.receiver();
    path.set_near_mtu(1400);
    const auto began = steady_clock::now();
    while (from.stats().refused_trains < 3) {
      co_await path.exchange(from, to);
      // A single datagram is no train, and does not count as the try.
      const auto single = co_await from.write_to(path.text, {path.cable.far.address, name_of(to).port});
      REQUIRE(single);
      ++path.written;
      const auto got = co_await to.read_from(path.buffer);
      REQUIRE(got);
      REQUIRE(steady_clock::now() - began < 60s);
    }
    // The first try comes at once, and the next two after a second each.
    CHECK(steady_clock::now() - began >= 2s);
    CHECK(from.stats().sent_trains == 0);
    CHECK(from.stats().sent_datagrams == path.written);
  });
}

TEST_CASE("a train that is refused because of another destination's error changes nothing for its own path") {
  // Like the path MTU report of a router, which a socket that keeps reports gets with the next send to any destination.
  narrowing path;
  run(path.loop, [&]() -> task<> {
    auto from = path.sender();
    auto to = path.receiver();
    REQUIRE(from.set_error_reports(true));
    const endpoint nobody = [&] {
      auto gone = path.receiver();
      return endpoint{path.cable.far.address, name_of(gone).port};
    }();
    const auto knock = co_await from.write_to(as_payload("knock"), nobody);
    REQUIRE(knock);
    const auto found = co_await fd::poll(from.native_handle(), poll_events::error);
    REQUIRE(found);
    co_await path.exchange(from, to);
    CHECK(from.stats().sent_trains == 1);
    CHECK(from.stats().failed_datagrams == 0);
    // The next read ends with the error.
    const auto got = co_await from.read_from(path.buffer);
    CHECK(got.error() == std::errc::connection_refused);
  });
}

TEST_CASE("a train that its own path refuses is no error of a read, also while an old report is unread") {
  for (const bool connected : {false, true}) {
    CAPTURE(connected);
    narrowing path;
    run(path.loop, [&]() -> task<> {
      auto to = path.receiver();
      const endpoint there{path.cable.far.address, name_of(to).port};
      auto from = connected ? path.cable.near.space.run([&] { return dial(path.loop, there); }) : path.sender();
      REQUIRE(from.set_error_reports(true));
      // A datagram that is longer than the link takes leaves a report, and its error is the write's.
      REQUIRE(from.set_dont_fragment(true));
      const std::vector<std::byte> longer(1500);
      std::vector<write_slot> one{{longer, {}, there, {}}};
      const auto refused = co_await from.write_batch(one);
      REQUIRE(refused.error() == std::errc::message_size);
      REQUIRE(from.set_dont_fragment(false));

      path.set_near_mtu(1400);
      co_await path.exchange(from, to);
      CHECK(from.stats().refused_trains == 1);
      read_slot room{path.buffer, {}};
      const auto got = co_await from.read_batch({&room, 1}, read_flags::dont_wait);
      CHECK(got.error() == std::errc::resource_unavailable_try_again);
      CHECK(from.stats().receive_errors == 0);
    });
  }
}

TEST_CASE("after a Packet Too Big a train is tried once a second, and trains are back when the kernel forgets it") {
  const bool connected = GENERATE(false, true);
  CAPTURE(connected);
  narrowing path;
  run(path.loop, [&]() -> task<> {
    auto to = path.receiver();
    auto from = connected ? path.cable.near.space.run([&] {
      return dial(path.loop, {path.cable.far.address, name_of(to).port});
    })
                          : path.sender();
    packet_capture wire(path.cable.far);
    co_await path.exchange(from, to);
    REQUIRE(from.stats().sent_trains == 1);
    const auto is_udp = [](const packet& each) { return each.size() > 48 && each[6] == IPPROTO_UDP; };
    const auto about = wire.find(is_udp);
    REQUIRE(about);
    co_await path.report_too_big(*about, 1300);

    const auto limit = steady_clock::now() + 20s;
    while (from.stats().refused_trains == 0 && steady_clock::now() < limit) co_await path.exchange(from, to);
    const auto began = steady_clock::now();
    const std::uint64_t trains = from.stats().sent_trains;
    while (steady_clock::now() - began < 2500ms) {
      co_await path.exchange(from, to);
      co_await sleep_for(20ms);
    }
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(steady_clock::now() - began).count();
    CHECK(from.stats().sent_trains == trains);
    CHECK(from.stats().refused_trains >= 2);
    CHECK(from.stats().refused_trains <= static_cast<std::uint64_t>(seconds));

    path.cable.near.space.run([&] { forget_path_mtu(path.cable.far.address); });
    const auto forgotten = steady_clock::now();
    const bool back = co_await path.exchange_until_trains_go(from, to);
    CHECK(back);
    CHECK(steady_clock::now() - forgotten < 2s);
    CHECK(from.stats().sent_datagrams == path.written);
    CHECK(from.stats().failed_datagrams == 0);
    CHECK(to.stats().received_datagrams == path.written);
    CHECK(from.stats().receive_errors == 0);
  });
}

TEST_CASE(
    "trains come back as soon as a route that kills packets has gone, and writes meanwhile fail as the kernel says") {
  struct kind {
    dead_route what;
    std::errc error;
  };
  const auto [what, error] = GENERATE(kind{dead_route::blackhole, std::errc::invalid_argument},
                                      kind{dead_route::unreachable, std::errc::host_unreachable},
                                      kind{dead_route::prohibit, std::errc::permission_denied});
  const bool ahead = GENERATE(false, true);
  const bool connected = GENERATE(false, true);
  const bool reports = GENERATE(false, true);
  CAPTURE(error, ahead, connected, reports);
  narrowing path;
  run(path.loop, [&]() -> task<> {
    auto to = path.receiver();
    const endpoint there{path.cable.far.address, name_of(to).port};
    auto from = connected
                    ? path.cable.near.space.run([&] { return dial(path.loop, there, {.coalesce_writes = ahead}); })
                    : path.sender({.coalesce_writes = ahead});
    REQUIRE(from.set_error_reports(reports));
    co_await path.exchange(from, to);
    REQUIRE(from.stats().sent_trains == 1);

    path.cable.near.space.run([&] { add_dead_route(what, path.cable.far.address, 128); });
    constexpr int rounds = 3;
    for (int i = 0; i < rounds; ++i) {
      std::vector<write_slot> batch(datagrams, {path.text, {}, there, {}});
      const auto sent = co_await from.write_batch(batch);
      if (ahead) {
        CHECK(sent == datagrams);
        const auto flushed = co_await from.flush();
        CHECK(flushed.error() == error);
      } else {
        CHECK(sent.error() == error);
        for (const write_slot& each : batch) CHECK(each.error == error);
      }
    }
    CHECK(from.stats().failed_datagrams == rounds * datagrams);
    CHECK(from.stats().failed_after_write == (ahead ? rounds * datagrams : 0));
    CHECK(from.stats().sent_datagrams == path.written);
    CHECK(from.stats().sent_trains == 1);

    path.cable.near.space.run([&] { delete_dead_route(what, path.cable.far.address, 128); });
    const bool back = co_await path.exchange_until_trains_go(from, to);
    CHECK(back);
    CHECK(from.stats().sent_datagrams == path.written);
    CHECK(from.stats().failed_datagrams == rounds * datagrams);
    CHECK(to.stats().received_datagrams == path.written);
    CHECK(from.stats().receive_errors == 0);
  });
}

TEST_CASE("datagrams of refused trains arrive in the order in which they were written") {
  constexpr std::size_t count = 200;  // five trains
  narrowing path;
  run(path.loop, [&]() -> task<> {
    for (const bool ahead : {false, true}) {
      auto from = path.sender({.coalesce_writes = ahead});
      auto to = path.receiver();
      need_room_for(count, to, counted_for_long);
      path.set_near_mtu(1400);
      std::vector<std::vector<std::byte>> texts(count, path.text);
      std::vector<write_slot> batch;
      for (std::uint64_t i = 0; i < count; ++i) {
        std::memcpy(texts[i].data(), &i, sizeof i);
        batch.push_back({texts[i], {}, {path.cable.far.address, name_of(to).port}, {}});
      }
      // The second time, one train is the try, and single datagrams follow it.
      for (const std::uint64_t refused : {5, 6}) {
        const auto sent = co_await from.write_batch(batch);
        REQUIRE(sent == count);
        const auto flushed = co_await from.flush();
        REQUIRE(flushed);
        CHECK(from.stats().refused_trains == refused);
        for (std::uint64_t i = 0; i < count; ++i) {
          const auto got = co_await to.read_from(path.buffer);
          REQUIRE(got);
          REQUIRE(number_in(got->payload) == i);
        }
        co_await sleep_for(1100ms);  // refusing_destinations remembers a refusal for a second
      }
    }
  });
}

}  // namespace
