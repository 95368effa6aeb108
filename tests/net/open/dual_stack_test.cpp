// A dual-stack conn towards IPv4: its options appear in the packets on the wire, and it joins IPv4 groups.
#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/packet_capture.hpp"
#include "uring6/ip_options.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

constexpr std::uint16_t port = 7777;
const ip_address near_v4 = ip_address::v4_mapped({192, 0, 2, 1});
const ip_address far_v4 = ip_address::v4_mapped({192, 0, 2, 2});
const ip_address group = ip_address::v4_mapped({239, 1, 1, 4});
const ip_address other_group = ip_address::v4_mapped({239, 1, 1, 5});
const ip_address specific = ip_address::v4_mapped({232, 1, 1, 4});

struct two_hosts {
  veth_pair cable;
  event_loop loop;
  packet_conn at = cable.near.space.run([&] {
    add_address(cable.near.link.index, near_v4, 24);
    return or_throw(listen_packet(loop, "udp", "[::]:7777"));
  });
  packet_conn far = cable.far.space.run([&] {
    add_address(cable.far.link.index, far_v4, 24);
    return or_throw(listen_packet(loop, "udp", "[::]:7777"));
  });
  packet_capture capture{cable.far, ETH_P_IP};
  std::array<std::byte, 64> buffer{};

  /// Sends a datagram and returns the packet on the wire, beginning with its IPv4 header.
  task<packet> wire(const ip_address& to) {
    const auto sent = co_await at.write_to(as_payload("wire"), endpoint{to, port});
    REQUIRE(sent);
    const auto destination = *to.to_v4();
    const auto found = capture.find([&](const packet& p) {
      constexpr std::uint8_t udp = 17;
      return p.size() > 20 && p[9] == udp && std::equal(destination.begin(), destination.end(), &p[16]);
    });
    REQUIRE(found);
    co_return *found;
  }

  task<> expect(packet_conn& by, std::string_view text) {
    const auto got = co_await by.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == text);
  }
};

constexpr std::size_t tos = 1;
constexpr std::size_t flags = 6;
constexpr std::size_t ttl = 8;
constexpr std::uint8_t dont_fragment = 0x40;

TEST_CASE("on a dual-stack conn traffic class and hop limit appear in IPv4 packets, too") {
  two_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    REQUIRE(hosts.at.set_traffic_class(0xb8));
    REQUIRE(hosts.at.set_hop_limit(7));
    packet seen = co_await hosts.wire(far_v4);
    CHECK(seen[tos] == 0xb8);
    CHECK(seen[ttl] == 7);
    CHECK(hosts.at.traffic_class() == 0xb8);
    CHECK(hosts.at.hop_limit() == 7);

    // IPv4 has no hop limit of 0; the call changes nothing.
    CHECK(hosts.at.set_hop_limit(0).error() == errc::out_of_range);
    CHECK(hosts.at.hop_limit() == 7);
    REQUIRE(hosts.at.set_traffic_class(std::nullopt));
    REQUIRE(hosts.at.set_hop_limit(std::nullopt));
    seen = co_await hosts.wire(far_v4);
    CHECK(seen[tos] == 0);
    CHECK(seen[ttl] == 64);

    // The same by conn, a view of any socket.
    REQUIRE(ip_options(hosts.at).set_traffic_class(0x28));
    REQUIRE(ip_options(hosts.at).set_hop_limit(9));
    seen = co_await hosts.wire(far_v4);
    CHECK(seen[tos] == 0x28);
    CHECK(seen[ttl] == 9);
    CHECK(ip_options(hosts.at).hop_limit() == 9);
  });
}

TEST_CASE("on a dual-stack conn a datagram longer than the path's MTU is refused towards IPv4, too") {
  two_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    const std::vector<std::byte> text(3000);
    REQUIRE(hosts.at.set_dont_fragment(true));
    const auto refused = co_await hosts.at.write_to(text, endpoint{far_v4, port});
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == std::errc::message_size);
    const packet seen = co_await hosts.wire(far_v4);
    CHECK((seen[flags] & dont_fragment) != 0);
    REQUIRE(hosts.at.set_dont_fragment(false));
    const auto sent = co_await hosts.at.write_to(text, endpoint{far_v4, port});
    CHECK(sent);
  });
}

TEST_CASE("on a dual-stack conn hop limit, interface and loopback of multicast act for IPv4 groups, too") {
  two_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    const interface& link = hosts.cable.near.link;
    CHECK(hosts.at.set_multicast_interface(interface{.index = 4711}).error() == errc::unknown_zone);
    REQUIRE(hosts.at.set_multicast_interface(link));  // the namespace has no route for groups
    REQUIRE(hosts.at.set_multicast_hop_limit(5));
    packet seen = co_await hosts.wire(group);
    CHECK(seen[ttl] == 5);
    REQUIRE(hosts.at.set_multicast_hop_limit(std::nullopt));
    seen = co_await hosts.wire(group);
    CHECK(seen[ttl] == 1);
  });
}

TEST_CASE("on a dual-stack conn this host's members read an IPv4 group unless loopback is off") {
  two_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    const interface& link = hosts.cable.near.link;
    REQUIRE(hosts.at.set_multicast_interface(link));
    REQUIRE(hosts.at.join_group(link, group));
    REQUIRE(hosts.at.set_multicast_loopback(false));
    auto sent = co_await hosts.at.write_to(as_payload("off"), endpoint{group, port});
    REQUIRE(sent);
    REQUIRE(hosts.at.set_multicast_loopback(true));
    sent = co_await hosts.at.write_to(as_payload("on"), endpoint{group, port});
    REQUIRE(sent);
    co_await hosts.expect(hosts.at, "on");
    REQUIRE(hosts.at.set_multicast_interface(std::nullopt));
    sent = co_await hosts.at.write_to(as_payload("no route"), endpoint{group, port});
    CHECK(sent.error() == std::errc::network_unreachable);
  });
}

TEST_CASE("a dual-stack conn joins IPv4 groups, with sources, and an IPv6-only conn gives wrong_family") {
  two_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    const interface& link = hosts.cable.far.link;
    REQUIRE(hosts.at.set_multicast_interface(hosts.cable.near.link));
    const auto send = [&](const ip_address& to, std::string_view text) -> task<> {
      const auto sent = co_await hosts.at.write_to(as_payload(text), endpoint{to, port});
      REQUIRE(sent);
    };
    REQUIRE(hosts.far.join_group(link, group));
    CHECK(hosts.far.join_group(link, group).error() == errc::already_joined);
    co_await send(other_group, "not joined");
    co_await send(group, "joined");
    co_await hosts.expect(hosts.far, "joined");

    REQUIRE(hosts.far.exclude_source_specific_group(link, group, near_v4));
    co_await send(group, "excluded");
    REQUIRE(hosts.far.include_source_specific_group(link, group, near_v4));
    co_await send(group, "included");
    co_await hosts.expect(hosts.far, "included");
    REQUIRE(hosts.far.leave_group(link, group));
    CHECK(hosts.far.leave_group(link, group).error() == errc::not_joined);

    REQUIRE(hosts.far.join_source_specific_group(link, specific, near_v4));
    co_await send(specific, "by source");
    co_await hosts.expect(hosts.far, "by source");
    REQUIRE(hosts.far.leave_source_specific_group(link, specific, near_v4));
    CHECK(hosts.far.join_source_specific_group(link, specific, hosts.cable.near.address).error() ==
          std::errc::address_family_not_supported);

    auto only_v6 = hosts.cable.far.space.run([&] { return or_throw(listen_packet(hosts.loop, "udp6", "[::]:0")); });
    CHECK(only_v6.join_group(link, group).error() == errc::ipv4_address);
    auto raw = hosts.cable.far.space.run([&] { return or_throw(listen_packet(hosts.loop, "ip6:253", "::")); });
    CHECK(raw.join_group(link, group).error() == errc::ipv4_address);
  });
}

}  // namespace
