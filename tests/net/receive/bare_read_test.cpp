// Payload-only reads: on a dialed conn without receive_offload and without control messages the kernel writes the
// payload alone. A buffer's room shows which read was armed: a 2 KiB buffer holds 2048 octets of payload then,
// otherwise less than 1800.
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <vector>

#include "support/case/allocations.hpp"
#include "support/case/coroutines.hpp"
#include "support/traffic/conns.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

const packet_options small_and_single{.receive_offload = false, .longest_datagram = 1000};

/// A conn on [::1], and a conn that is dialed to it.
struct pair_of_conns {
  explicit pair_of_conns(event_loop& loop)
      : server(open_conn(loop)), client(dial(loop, name_of(server), small_and_single)) {}

  packet_conn server;
  packet_conn client;
  endpoint to_client() const { return name_of(client); }
};

TEST_CASE("payload-only reads: whole, in order, from the peer, empty datagrams among them") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    pair_of_conns conns(loop);
    std::array<std::byte, 2048> buffer;
    const endpoint there = conns.to_client();
    constexpr std::uint64_t count = 300;
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto sent = co_await conns.server.write_to(numbered(i), there);
      REQUIRE(sent);
      if (i % 3 != 0) continue;
      const auto empty = co_await conns.server.write_to({}, there);
      REQUIRE(empty);
    }
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto got = co_await conns.client.read_from(buffer);
      REQUIRE(got);
      REQUIRE(number_in(got->payload) == i);
      CHECK(got->full_length == 8);
      CHECK_FALSE(got->truncated);
      CHECK(got->source == name_of(conns.server));
      CHECK(got->control == control_message{.source = ip_address::loopback()});
      if (i % 3 != 0) continue;
      const auto empty = co_await conns.client.read_from(buffer);
      REQUIRE(empty);
      REQUIRE(empty->payload.empty());
      CHECK(empty->source == name_of(conns.server));
    }
    CHECK(conns.client.stats().malformed == 0);
    CHECK(conns.client.stats().kernel_drops == 0);
  });
}

TEST_CASE("payload-only reads have a whole buffer, and mark a longer datagram as cut") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    pair_of_conns conns(loop);
    const std::vector<std::byte> text(3000, std::byte{7});
    std::vector<std::byte> buffer(4000);
    for (const std::size_t length : {2048, 2049, 3000}) {
      const auto sent = co_await conns.server.write_to(std::span(text).first(length), conns.to_client());
      REQUIRE(sent);
      const auto got = co_await conns.client.read_from(buffer);
      REQUIRE(got);
      CHECK(got->payload.size() == 2048);
      CHECK(got->full_length == length);
      CHECK(got->truncated == (length > 2048));
    }
  });
}

TEST_CASE("a payload-only read that is canceled amid a flood gives what it has, with its source") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    std::array<std::byte, 2048> buffer;
    constexpr std::uint64_t count = 200;
    for (int round = 0; round < 10; ++round) {
      pair_of_conns conns(loop);
      const auto send = [&](std::uint64_t i) {
        // A plain sendto, not a write of the loop: the datagrams wait in the socket.
        const sockaddr_in6 there = conns.to_client().to_sockaddr();
        const numbered payload(i);
        REQUIRE(::sendto(conns.server.native_handle(), payload.bytes.data(), payload.bytes.size(), 0,
                         reinterpret_cast<const sockaddr*>(&there), sizeof there) == 8);
      };
      send(0);
      const auto first = co_await conns.client.read_from(buffer);  // the read is armed after that
      REQUIRE(first);
      for (std::uint64_t i = 1; i < count; ++i) send(i);
      int next_in_socket = 0;  // octets; 0 if none waits
      for (std::uint64_t i = 1; i < count; ++i) {
        const auto got = co_await conns.client.read_from(buffer);
        REQUIRE(got);
        REQUIRE(number_in(got->payload) == i);
        REQUIRE(got->source == name_of(conns.server));
        REQUIRE(got->control.source == ip_address::loopback());
        // Datagrams that the canceled read had taken have no control message; those that a later read takes have it.
        // One read takes 32 datagrams, before Linux 6.8 all that wait.
        if (i == 1) REQUIRE_FALSE(got->control.hop_limit);
        if (i == 1) REQUIRE(::ioctl(conns.client.native_handle(), FIONREAD, &next_in_socket) == 0);
        if (i == count - 1 && next_in_socket > 0) REQUIRE(got->control.hop_limit == 64);
        if (i == 1) or_throw(conns.client.set_control_message(control_flags::hop_limit, true));
      }
      send(count);
      const auto later = co_await conns.client.read_from(buffer);
      REQUIRE(later);
      REQUIRE(number_in(later->payload) == count);
      REQUIRE(later->control.hop_limit == 64);
    }
  });
}

TEST_CASE("control messages that are asked for come with the next datagram, also where a read waits already") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    pair_of_conns conns(loop);
    const std::vector<std::byte> text(2000);
    std::vector<std::byte> buffer(2048);
    const auto exchange = [&]() -> task<datagram> {
      const auto sent = co_await conns.server.write_to(text, conns.to_client());
      REQUIRE(sent);
      const auto got = co_await conns.client.read_from(buffer);
      REQUIRE(got);
      co_return *got;
    };
    for (int round = 0; round < 3; ++round) {
      const datagram bare = co_await exchange();
      CHECK_FALSE(bare.truncated);
      CHECK_FALSE(bare.control.hop_limit);

      SECTION("between reads") {
        or_throw(conns.client.set_control_message(control_flags::hop_limit, true));
        const datagram told = co_await exchange();
        CHECK(told.control.hop_limit == 64);
        CHECK(told.truncated);  // the control messages take payload room
      }
      SECTION("while a read waits") {
        beside reader(loop, [&]() -> task<> {
          const auto got = co_await conns.client.read_from(buffer);
          REQUIRE(got);
          CHECK(got->control.hop_limit == 64);
          CHECK(got->source == name_of(conns.server));
        });
        co_await yield();
        co_await sleep_for(1ms);  // the read is in the kernel now
        or_throw(conns.client.set_control_message(control_flags::hop_limit, true));
        const auto sent = co_await conns.server.write_to(text, conns.to_client());
        REQUIRE(sent);
        co_await reader.join();
      }
      or_throw(conns.client.set_control_message(control_flags::hop_limit, false));
      const datagram last = co_await exchange();  // by the read that was armed before
      CHECK_FALSE(last.control.hop_limit);
      if (loop.driver() == loop_driver::readiness) break;  // no datagram ends that read
      // An empty datagram ends the armed read; the next read has the new settings.
      const auto empty = co_await conns.server.write_to({}, conns.to_client());
      REQUIRE(empty);
      const auto got = co_await conns.client.read_from(buffer);
      REQUIRE(got);
      REQUIRE(got->payload.empty());
    }
  });
}

TEST_CASE("payload-only reads allocate nothing, also of empty datagrams") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    pair_of_conns conns(loop);
    std::array<std::byte, 64> buffer;
    const endpoint there = conns.to_client();
    std::size_t before = 0;
    for (int i = 0; i < 400; ++i) {
      if (i == 200) before = allocations();
      const std::span<const std::byte> payload = i % 2 == 0 ? as_payload("full") : as_payload("");
      const auto sent = co_await conns.server.write_to(payload, there);
      REQUIRE(sent);
      const auto got = co_await conns.client.read_from(buffer);
      REQUIRE(got);
      REQUIRE(got->payload.size() == payload.size());
    }
    CHECK(allocations() == before);
  });
}

TEST_CASE("a refusal by the peer's host is reported once to a payload-only read, and reading goes on") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    pair_of_conns conns(loop);
    const endpoint there = name_of(conns.server);
    REQUIRE(conns.server.close());
    std::array<std::byte, 64> buffer;
    const auto knock = co_await conns.client.write(as_payload("knock"));
    CHECK(knock);
    auto got = co_await conns.client.read_from(buffer);
    REQUIRE_FALSE(got);
    CHECK(got.error() == std::errc::connection_refused);
    auto back = or_throw(listen_packet(loop, "udp6", there.to_string()));
    const auto sent = co_await back.write_to(as_payload("here"), name_of(conns.client));
    REQUIRE(sent);
    got = co_await conns.client.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "here");
  });
}

}  // namespace
