// The news that a datagram was too long for its path: it ends a read, and is no datagram.

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cstdint>
#include <optional>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/narrow_path.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/conns.hpp"
#include "uring6/datagram_batch.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

/// Two hosts on a link of MTU 1500. The conn of the near one asks for path MTU events.
struct two_hosts {
  two_hosts() {
    REQUIRE(from.set_dont_fragment(true));
    REQUIRE(from.set_control_message(control_flags::path_mtu, true));
  }

  packet_conn open(const network_namespace& space) {
    return space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
  }

  /// Writes a datagram that is too long for the link.
  task<> write_longer() {
    const auto refused = co_await from.write_to(longer, there);
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == std::errc::message_size);
  }

  path_mtu_event expected() const { return {.mtu = 1500, .destination = cable.far.address}; }

  veth_pair cable;
  event_loop loop;
  packet_conn from = open(cable.near.space);
  packet_conn to = open(cable.far.space);
  endpoint there{cable.far.address, name_of(to).port};
  endpoint back{cable.near.address, name_of(from).port};
  std::vector<std::byte> longer = std::vector<std::byte>(1500);
  std::array<std::byte, 64> buffer;
};

TEST_CASE("for a datagram longer than the path's MTU a read ends with a path MTU event, and reading goes on") {
  two_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    CHECK(or_throw(hosts.from.dont_fragment()));
    CHECK_FALSE(or_throw(hosts.from.read_path_mtu_event()));
    co_await hosts.write_longer();
    const auto news = co_await hosts.from.read_from(hosts.buffer);
    REQUIRE_FALSE(news);
    CHECK(news.error() == errc::path_mtu_event);
    CHECK(is_transient(news.error()));
    CHECK(or_throw(hosts.from.read_path_mtu_event()) == hosts.expected());
    CHECK_FALSE(or_throw(hosts.from.read_path_mtu_event()));
    CHECK(hosts.from.stats().receive_errors == 1);
    CHECK(hosts.from.stats().received_datagrams == 0);

    auto sent = co_await hosts.to.write_to(as_payload("next"), hosts.back);
    REQUIRE(sent);
    const auto got = co_await hosts.from.read_from(hosts.buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "next");
    // Without the option the kernel fragments, and all of it arrives.
    REQUIRE(hosts.from.set_dont_fragment(false));
    sent = co_await hosts.from.write_to(hosts.longer, hosts.there);
    REQUIRE(sent);
    std::vector<std::byte> whole(2000);
    const auto arrived = co_await hosts.to.read_from(whole);
    REQUIRE(arrived);
    CHECK(arrived->payload.size() == 1500);
  });
}

TEST_CASE("a service that answers each datagram answers no path MTU event") {
  two_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    // The loop of README.md.
    std::size_t answers = 0;
    beside service(hosts.loop, [&]() -> task<> {
      for (;;) {
        auto got = co_await hosts.from.read_from(hosts.buffer);
        if (!got && is_transient(got.error())) continue;
        if (!got) co_return;
        const control_message control = got->control.reply();
        const auto sent = co_await hosts.from.write_to(got->payload, control, got->source);
        CHECK(sent);
        ++answers;
      }
    });
    co_await yield();
    co_await hosts.write_longer();
    const auto asked = co_await hosts.to.write_to(as_payload("question"), hosts.back);
    REQUIRE(asked);
    std::array<std::byte, 16> buffer;
    const auto answer = co_await hosts.to.read_from(buffer);
    REQUIRE(answer);
    CHECK(as_text(answer->payload) == "question");
    CHECK(or_throw(hosts.from.read_path_mtu_event()) == hosts.expected());
    REQUIRE(hosts.from.close());
    co_await service.join();
    CHECK(answers == 1);
    CHECK(hosts.from.read_path_mtu_event().error() == errc::closed);
  });
}

TEST_CASE("a path MTU event reaches the reader that waits, and a conn that has read before") {
  two_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    std::error_code heard;
    const auto read_once = [&]() -> task<> {
      const auto news = co_await hosts.from.read_from(hosts.buffer);
      heard = news.error();
    };
    beside reader(hosts.loop, read_once);
    co_await yield();
    co_await yield();
    co_await hosts.write_longer();
    const bool ended = co_await reader.join();
    REQUIRE(ended);
    CHECK(heard == errc::path_mtu_event);
    CHECK(or_throw(hosts.from.read_path_mtu_event()) == hosts.expected());

    // The read that brought this datagram is still armed, and no reader waits.
    auto sent = co_await hosts.to.write_to(as_payload("first"), hosts.back);
    REQUIRE(sent);
    auto got = co_await hosts.from.read_from(hosts.buffer);
    REQUIRE(got);
    co_await hosts.write_longer();
    got = co_await hosts.from.read_from(hosts.buffer);
    REQUIRE_FALSE(got);
    CHECK(got.error() == errc::path_mtu_event);
    CHECK(or_throw(hosts.from.read_path_mtu_event()) == hosts.expected());

    // A datagram that arrived before the event is not lost: the conn reads both.
    sent = co_await hosts.to.write_to(as_payload("before"), hosts.back);
    REQUIRE(sent);
    co_await hosts.write_longer();
    int events = 0;
    int datagrams = 0;
    for (int i = 0; i < 2; ++i) {
      got = co_await hosts.from.read_from(hosts.buffer);
      (got ? datagrams : events) += 1;
    }
    CHECK(events == 1);
    CHECK(datagrams == 1);

    // A conn that has not asked for path_mtu reads no event, and reads on.
    CHECK(or_throw(hosts.from.read_path_mtu_event()) == hosts.expected());
    REQUIRE(hosts.from.set_control_message(control_flags::path_mtu, false));
    co_await hosts.write_longer();
    sent = co_await hosts.to.write_to(as_payload("last"), hosts.back);
    REQUIRE(sent);
    got = co_await hosts.from.read_from(hosts.buffer);
    REQUIRE(got);
    CHECK_FALSE(or_throw(hosts.from.read_path_mtu_event()));
  });
}

TEST_CASE("read_batch and receive end with a path MTU event, too") {
  two_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    co_await hosts.write_longer();
    std::array<read_slot, 4> slots{};
    auto count = co_await hosts.from.read_batch(slots);
    CHECK(count.error() == errc::path_mtu_event);
    co_await hosts.write_longer();
    datagram_batch batch;
    count = co_await hosts.from.receive(batch);
    CHECK(count.error() == errc::path_mtu_event);
    CHECK(batch.empty());
    CHECK(or_throw(hosts.from.read_path_mtu_event()) == hosts.expected());
  });
}

TEST_CASE("after a Packet Too Big from a router the event tells the MTU of the path behind it") {
  const narrow_path path;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = path.cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    REQUIRE(from.set_dont_fragment(true));
    REQUIRE(from.set_control_message(control_flags::path_mtu, true));
    const endpoint there{path.beyond, 9};
    const std::vector<std::byte> wide(1400);
    const auto taken = co_await from.write_to(wide, there);  // the router refuses it
    REQUIRE(taken);
    REQUIRE(eventually([&] {
      return path.cable.near.space.run([&] { return or_throw(dial_packet(loop, "udp6", there)).path_mtu() == 1280U; });
    }));
    const auto refused = co_await from.write_to(wide, there);
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == std::errc::message_size);
    std::array<std::byte, 64> buffer;
    const auto news = co_await from.read_from(buffer);
    REQUIRE_FALSE(news);
    CHECK(news.error() == errc::path_mtu_event);
    CHECK(or_throw(from.read_path_mtu_event()) == path_mtu_event{.mtu = 1280, .destination = path.beyond});
  });
}

}  // namespace
