// packet_conn for ICMPv6 echo without a privilege ("icmp6"), the kernel's ping sockets.

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"
#include "uring6/icmp.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

bytes message(const icmp::message_body& body) {
  bytes area(2048);
  area.resize(or_throw(icmp::encode(body, area)));
  return area;
}

void permit_everybody() {
  write_sysctl("net/ipv4/ping_group_range", "0 0");
}

TEST_CASE("an unprivileged echo: the kernel writes the identifier and delivers the reply") {
  const network_namespace space;
  event_loop loop;
  const auto inside = space.enter();
  permit_everybody();
  run(loop, [&]() -> task<> {
    auto one = or_throw(listen_packet(loop, "icmp6", "::"));
    auto other = or_throw(listen_packet(loop, "icmp6", "::1"));
    REQUIRE(one.set_control_message(all_control, true));
    const std::uint16_t identifier = name_of(one).port;
    CHECK(identifier != 0);
    CHECK(identifier != name_of(other).port);
    const icmp::echo_request request{.identifier = 1, .sequence = 5, .data = as_payload("who is there")};
    const control_message control{.traffic_class = 0x28, .hop_limit = 9};
    const auto sent = co_await one.write_to(message(request), control, {ip_address::loopback(), 0});
    REQUIRE(sent);
    std::array<std::byte, 64> buffer;
    const auto got = co_await one.read_from(buffer);
    REQUIRE(got);
    CHECK(got->source == endpoint{ip_address::loopback(), 0});
    CHECK(got->control.destination == ip_address::loopback());
    CHECK(got->control.interface_index == loopback_index);
    CHECK(got->control.hop_limit == 64);
    const auto reply = or_throw(icmp::parse(got->payload, ip_address::loopback(), ip_address::loopback()));
    const auto& echo = std::get<icmp::echo_reply>(reply.body);
    CHECK(echo.identifier == identifier);
    CHECK(echo.sequence == 5);
    CHECK(as_text(echo.data) == "who is there");
  });
}

TEST_CASE("the identifier of an ICMP conn can be chosen") {
  const network_namespace space;
  event_loop loop;
  const auto inside = space.enter();
  permit_everybody();
  run(loop, [&]() -> task<> {
    auto at = or_throw(listen_packet(loop, "icmp6", "[::1]:4242"));
    CHECK(name_of(at) == endpoint{ip_address::loopback(), 4242});
    const bytes request = message(icmp::echo_request{.identifier = 1});
    const auto sent = co_await at.write_to(request, {ip_address::loopback(), 0});
    REQUIRE(sent);
    std::array<std::byte, 64> buffer;
    const auto got = co_await at.read_from(buffer);
    REQUIRE(got);
    CHECK(std::get<icmp::echo_reply>(or_throw(icmp::parse(got->payload)).body).identifier == 4242);
  });
}

TEST_CASE("an unprivileged ICMP conn refuses to write anything but an echo request") {
  const network_namespace space;
  event_loop loop;
  const auto inside = space.enter();
  permit_everybody();
  run(loop, [&]() -> task<> {
    auto at = or_throw(listen_packet(loop, "icmp6", "::1"));
    const endpoint there{ip_address::loopback(), 0};
    const auto expect_refusal = [&](std::span<const std::byte> payload, endpoint to) -> task<> {
      const auto sent = co_await at.write_to(payload, to);
      REQUIRE_FALSE(sent);
      CHECK(sent.error() == std::errc::invalid_argument);
    };
    const bytes reply = message(icmp::echo_reply{});
    const bytes request = message(icmp::echo_request{});
    co_await expect_refusal(reply, there);
    co_await expect_refusal(std::span(request).first(7), there);
    co_await expect_refusal({}, there);
    co_await expect_refusal(request, {ip_address::v4_mapped({127, 0, 0, 1}), 0});

    // A ping socket has none of the options of raw sockets.
    CHECK(at.checksum().error() == std::errc::no_protocol_option);
    CHECK(at.set_checksum(2).error() == std::errc::no_protocol_option);
    CHECK(at.icmp_filter().error() == std::errc::no_protocol_option);
    CHECK(at.set_icmp_filter({}).error() == std::errc::no_protocol_option);

    const auto sent = co_await at.write_to(request, there);
    CHECK(sent);
    std::array<std::byte, 64> buffer;
    const auto got = co_await at.read_from(buffer);
    CHECK(got);
  });
}

TEST_CASE("a process outside of the groups of ping_group_range gets no ICMP conn") {
  const network_namespace space;
  event_loop loop;
  const auto inside = space.enter();
  // The default of a fresh namespace. In a user namespace it cannot be written, because group 1 is not mapped there.
  CHECK(listen_packet(loop, "icmp6", "::").error() == std::errc::permission_denied);
}

TEST_CASE("bad addresses of an ICMP conn") {
  const network_namespace space;
  event_loop loop;
  const auto inside = space.enter();
  permit_everybody();
  CHECK(listen_packet(loop, "icmp6", "127.0.0.1").error() == std::errc::invalid_argument);
  CHECK(listen_packet(loop, "icmp6", "[::1]").error() == errc::missing_port);
  CHECK(listen_packet(loop, "icmp6", "::g").error() == errc::not_an_address);
  CHECK(listen_packet(loop, "icmp6", "2001:db8::1").error() == std::errc::address_not_available);
  CHECK(dial_packet(loop, "icmp6", "127.0.0.1").error() == std::errc::invalid_argument);
  CHECK(listen_packet(loop, "icmp6", "fe80::1%nosuch0").error() == errc::unknown_zone);
}

TEST_CASE("an ICMP conn sends an echo request to all nodes of its link, and reads their replies") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    // As in Go's documentation: from a link-local address to ff02::1, both with their zone.
    auto at = cable.near.space.run([&] {
      permit_everybody();
      return or_throw(listen_packet(loop, "icmp6", cable.near.link_local.to_string()));
    });
    REQUIRE(at.set_control_message(all_control, true));
    CHECK(name_of(at).address == cable.near.link_local);
    const bytes request = message(icmp::echo_request{.sequence = 1, .data = as_payload("HELLO-R-U-THERE")});
    const auto sent = co_await at.write_to(request, {ip_address::all_nodes().with_zone(cable.near.link.index), 0});
    REQUIRE(sent);
    // This host is one of the nodes, too, and the order of the two replies is not fixed.
    std::vector<ip_address> answered;
    std::array<std::byte, 64> buffer;
    for (int i = 0; i < 2; ++i) {
      const auto got = co_await at.read_from(buffer);
      REQUIRE(got);
      answered.push_back(got->source.address);
      CHECK(got->control.destination == cable.near.link_local.with_zone(0));
      CHECK(got->control.interface_index == cable.near.link.index);
      const auto reply = or_throw(icmp::parse(got->payload));
      CHECK(as_text(std::get<icmp::echo_reply>(reply.body).data) == "HELLO-R-U-THERE");
    }
    CHECK(std::ranges::count(answered, cable.near.link_local) == 1);
    CHECK(std::ranges::count(answered, cable.far.link_local.with_zone(cable.near.link.index)) == 1);
  });
}

TEST_CASE("a dialed ICMP conn echoes link-local peers by their zone") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    // The zone by its index: the interface's name is known in the namespace only.
    auto at = cable.near.space.run([&] {
      permit_everybody();
      std::string text = cable.far.link_local.with_zone(0).to_string() + "%" + std::to_string(cable.near.link.index);
      return or_throw(dial_packet(loop, "icmp6", text));
    });
    const bytes request = message(icmp::echo_request{.sequence = 3});
    auto sent = co_await at.write(request);
    REQUIRE(sent);
    std::array<std::byte, 64> buffer;
    const auto got = co_await at.read_from(buffer);
    REQUIRE(got);
    CHECK(got->source.address == cable.far.link_local.with_zone(cable.near.link.index));
    CHECK(or_throw(at.path_mtu()) == cable.near.link.mtu);
  });
}

}  // namespace
