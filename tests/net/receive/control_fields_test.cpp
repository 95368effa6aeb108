// The control message of a datagram that is written is the control message that the peer reads.

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <optional>
#include <string>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/packet_capture.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

/// Sends one datagram and returns the one that arrived; the test fails if none arrives.
task<datagram> exchange(packet_conn& from, packet_conn& to, control_message control, endpoint destination,
                        std::span<std::byte> buffer) {
  const auto sent = co_await from.write_to(as_payload("control"), control, destination);
  REQUIRE(sent);
  CHECK(*sent == 7);
  const auto got = co_await to.read_from(buffer);
  REQUIRE(got);
  CHECK(as_text(got->payload) == "control");
  CHECK_FALSE(got->truncated);
  CHECK_FALSE(got->control_truncated);
  CHECK(got->full_length == 7);
  co_return *got;
}

TEST_CASE("every traffic class sent over ::1 is the one received, 0 among them") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop);
    auto to = open_conn(loop);
    REQUIRE(to.set_control_message(all_control, true));
    // An empty control message takes the socket's traffic class: a written 0 must not be taken for "not set".
    REQUIRE(from.set_traffic_class(0x77));
    std::array<std::byte, 64> buffer;
    for (int value = 0; value <= 255; ++value) {
      control_message control;
      control.traffic_class = value;
      const auto got = co_await exchange(from, to, control, name_of(to), buffer);
      REQUIRE(got.control.traffic_class == value);
      REQUIRE(got.control.dscp() == value >> 2);
      REQUIRE(got.control.ecn() == (value & 3));
    }
    const auto plain = co_await exchange(from, to, {}, name_of(to), buffer);
    CHECK(plain.control.traffic_class == 0x77);
  });
}

TEST_CASE("every hop limit sent over ::1 is the one received, 0 among them") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop);
    auto to = open_conn(loop);
    REQUIRE(to.set_control_message(control_flags::hop_limit, true));
    REQUIRE(from.set_hop_limit(33));
    std::array<std::byte, 64> buffer;
    for (const int value : {0, 1, 2, 63, 64, 65, 128, 254, 255}) {
      control_message control;
      control.hop_limit = value;
      const auto got = co_await exchange(from, to, control, name_of(to), buffer);
      REQUIRE(got.control.hop_limit == value);
      REQUIRE_FALSE(got.control.traffic_class);
      REQUIRE_FALSE(got.control.destination);
    }
    const auto plain = co_await exchange(from, to, {}, name_of(to), buffer);
    CHECK(plain.control.hop_limit == 33);
  });
}

TEST_CASE("a conn receives the control messages that it asked for, until it turns them off") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop);
    auto to = open_conn(loop);
    std::array<std::byte, 64> buffer;
    const auto show = [&](control_flags flags, bool on) -> task<control_message> {
      REQUIRE(to.set_control_message(flags, on));
      const auto got = co_await exchange(from, to, {}, name_of(to), buffer);
      CHECK(got.control.source == name_of(from).address);
      CHECK(got.source == name_of(from));
      co_return got.control;
    };
    auto got = co_await show(control_flags::none, true);
    CHECK((!got.traffic_class && !got.hop_limit && !got.destination && !got.interface_index));

    got = co_await show(control_flags::destination, true);
    CHECK(got.destination == ip_address::loopback());
    CHECK((!got.traffic_class && !got.hop_limit));

    // The kernel has one option for destination and interface: turning one off keeps the other on.
    got = co_await show(control_flags::interface, true);
    CHECK(got.interface_index == loopback_index);
    got = co_await show(control_flags::destination, false);
    CHECK(got.interface_index == loopback_index);
    got = co_await show(control_flags::interface, false);
    CHECK((!got.destination && !got.interface_index));

    got = co_await show(control_flags::traffic_class | control_flags::hop_limit, true);
    CHECK((got.traffic_class && got.hop_limit));
    got = co_await show(control_flags::traffic_class, false);
    CHECK((!got.traffic_class && got.hop_limit));
    got = co_await show(control_flags::hop_limit, false);
    CHECK((!got.traffic_class && !got.hop_limit));
  });
}

TEST_CASE("the answer to a datagram leaves from the address and the interface where it arrived") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    // A second address on the far host: an answer from the first one would not be expected by the near host.
    ip_address second = or_throw(ip_address::parse("2001:db8::22"));
    cable.far.space.run([&] { add_address(cable.far.link.index, second, 64); });
    auto server = cable.far.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    auto client = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    REQUIRE(server.set_control_message(control_flags::destination | control_flags::interface, true));
    std::array<std::byte, 64> buffer;
    for (const ip_address& address : {cable.far.address, second}) {
      const endpoint there{address, name_of(server).port};
      const auto asked = co_await exchange(client, server, {}, there, buffer);
      CHECK(asked.control.destination == address);
      CHECK(asked.control.interface_index == cable.far.link.index);
      const auto answer = co_await exchange(server, client, asked.control.reply(), asked.source, buffer);
      CHECK(answer.source == there);
    }
  });
}

TEST_CASE("control fields cross a cable, global and link-local, and are on the wire as sent") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    auto to = cable.far.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    REQUIRE(to.set_control_message(all_control, true));
    packet_capture wire(cable.far);
    std::array<std::byte, 64> buffer;

    const std::array routes{std::pair{cable.near.address, cable.far.address},
                            std::pair{cable.near.link_local, cable.far.link_local.with_zone(cable.near.link.index)}};
    for (const auto& [source, destination] : routes) {
      const bool link_local = destination.is_link_local();
      for (const int value : {0, 1, 0x2e << 2, 255}) {
        control_message control;
        control.traffic_class = value;
        control.hop_limit = value;
        control.interface_index = cable.near.link.index;
        control.source = source;
        // A hop limit of 0 must not leave the host (RFC 8200); Linux sends it on its own link all the same.
        const auto got = co_await exchange(from, to, control, {destination, name_of(to).port}, buffer);
        CHECK(got.control.traffic_class == value);
        CHECK(got.control.hop_limit == value);
        CHECK(got.control.destination == destination.with_zone(0));
        CHECK(got.control.interface_index == cable.far.link.index);
        CHECK(got.source.address == source.with_zone(link_local ? cable.far.link.index : 0));
        CHECK(got.source.port == name_of(from).port);

        const auto seen = wire.find([](const packet& p) { return p.size() > 48 && p[6] == 17; });
        REQUIRE(seen);
        CHECK((((*seen)[0] & 0x0f) << 4 | (*seen)[1] >> 4) == value);
        CHECK((*seen)[7] == value);
        CHECK(std::equal(source.bytes().begin(), source.bytes().end(), seen->begin() + 8));
      }
    }
  });
}

// The conn makes room for all control messages that it can ask for; a socket option set by hand can bring more.
TEST_CASE("control messages that do not fit are reported as truncated, and the fields before the cut are there") {
  const network_namespace space;
  event_loop loop;
  const auto inside = space.enter();
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop);
    auto to = open_conn(loop);
    REQUIRE(to.set_control_message(all_control, true));
    const int on = 1;
    REQUIRE(::setsockopt(to.native_handle(), IPPROTO_IPV6, IPV6_RECVDSTOPTS, &on, sizeof on) == 0);
    std::array<std::byte, 64> buffer;
    auto got = co_await exchange(from, to, {}, name_of(to), buffer);

    // Destination options of 1,032 octets: unknown ones, which are to be skipped (RFC 8200, 4.2).
    std::vector<std::uint8_t> options(1032);
    options[1] = 128;
    for (std::size_t at = 2; at + 2 < options.size(); at += 2 + options[at + 1]) {
      options[at] = 0x1e;
      options[at + 1] = static_cast<std::uint8_t>(std::min<std::size_t>(255, options.size() - at - 2));
    }
    REQUIRE(::setsockopt(from.native_handle(), IPPROTO_IPV6, IPV6_DSTOPTS, options.data(),
                         static_cast<socklen_t>(options.size())) == 0);
    const control_message control{.traffic_class = 0x28, .hop_limit = 9};
    const auto sent = co_await from.write_to(as_payload("long"), control, name_of(to));
    REQUIRE(sent);
    const auto cut = co_await to.read_from(buffer);
    REQUIRE(cut);
    CHECK(as_text(cut->payload) == "long");
    CHECK(cut->control_truncated);
    CHECK_FALSE(cut->truncated);
    CHECK(cut->control.traffic_class == 0x28);
    CHECK(cut->control.hop_limit == 9);
    CHECK(cut->control.destination == ip_address::loopback());

    // The next datagram is whole again.
    REQUIRE(::setsockopt(from.native_handle(), IPPROTO_IPV6, IPV6_DSTOPTS, nullptr, 0) == 0);
    got = co_await exchange(from, to, {}, name_of(to), buffer);
    CHECK(got.control.destination == ip_address::loopback());
  });
}

TEST_CASE("an IPv4 peer's control fields arrive on a dual-stack conn, and are sent to one") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto here = or_throw(listen_packet(loop, "udp", "[::]:0"));
    auto there = or_throw(listen_packet(loop, "udp", "127.0.0.1:0"));
    REQUIRE(here.set_control_message(all_control, true));
    REQUIRE(there.set_control_message(all_control, true));
    const endpoint to_here{ip_address::v4_mapped({127, 0, 0, 1}), name_of(here).port};
    CHECK(name_of(there).address == ip_address::v4_mapped({127, 0, 0, 1}));
    std::array<std::byte, 64> buffer;
    for (const int value : {1, 64, 184, 255}) {
      control_message control;
      control.traffic_class = value;
      control.hop_limit = value;
      control.interface_index = loopback_index;
      control.source = ip_address::v4_mapped({127, 0, 0, 1});
      auto got = co_await exchange(there, here, control, to_here, buffer);
      CHECK(got.control.traffic_class == value);
      CHECK(got.control.hop_limit == value);
      CHECK(got.control.destination == to_here.address);
      CHECK(got.control.interface_index == loopback_index);
      CHECK(got.source == name_of(there));
      got = co_await exchange(here, there, control, got.source, buffer);
      CHECK(got.control.traffic_class == value);
      CHECK(got.control.hop_limit == value);
      CHECK(got.source == to_here);
    }
    // A traffic class of 0 is a value here, too. No IPv4 packet has a TTL of 0, so that a hop limit of 0 is refused.
    control_message zero;
    zero.traffic_class = 0;
    REQUIRE(there.set_traffic_class(8));
    const auto got = co_await exchange(there, here, zero, to_here, buffer);
    CHECK(got.control.traffic_class == 0);
    zero.hop_limit = 0;
    const auto refused = co_await there.write_to(as_payload("x"), zero, to_here);
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == errc::out_of_range);
  });
}

TEST_CASE("a conn connected to an IPv4 peer sends the control message that it is given") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto to = or_throw(listen_packet(loop, "udp", "127.0.0.1:0"));
    auto from = or_throw(dial_packet(loop, "udp", "127.0.0.1:" + std::to_string(name_of(to).port)));
    REQUIRE(to.set_control_message(all_control, true));
    std::array<std::byte, 64> buffer;
    control_message control;
    control.traffic_class = 0xb8;
    control.hop_limit = 7;
    const auto sent = co_await from.write(as_payload("one"), control);
    REQUIRE(sent);
    auto got = co_await to.read_from(buffer);
    REQUIRE(got);
    CHECK(got->control.traffic_class == 0xb8);
    CHECK(got->control.hop_limit == 7);

    // A connected conn ignores the destinations of a batch, whatever they are.
    std::array<write_slot, 3> batch;
    for (auto& each : batch) each = {as_payload("two"), control, {}, {}};
    batch[1].destination = {ip_address::loopback(), 9};
    const auto all = co_await from.write_batch(batch);
    REQUIRE(all);
    CHECK(*all == 3);
    for (int i = 0; i < 3; ++i) {
      got = co_await to.read_from(buffer);
      REQUIRE(got);
      CHECK(got->control.traffic_class == 0xb8);
      CHECK(got->control.hop_limit == 7);
    }
    CHECK(from.stats().sent_trains == 1);
  });
}

}  // namespace
