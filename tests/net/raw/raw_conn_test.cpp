// packet_conn for raw IP: the payload of packets of one protocol, the checksum that the kernel computes, filters.

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <thread>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/capabilities.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/packet_capture.hpp"
#include "uring6/checksum.hpp"
#include "uring6/header.hpp"
#include "uring6/icmp.hpp"
#include "uring6/interface.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

TEST_CASE("raw conns are opened by the name or number of their protocol, with Go's network words") {
  const network_namespace space;
  event_loop loop;
  const auto inside = space.enter();
  for (const char* word : {"ip6:ipv6-icmp", "ip6:58", "ip6:ospf", "ip6:89", "ip6:47", "ip6:gre", "ip6:0253"}) {
    INFO(word);
    CHECK(listen_packet(loop, word, "::"));
    CHECK(listen_packet(loop, word, ""));
    CHECK(dial_packet(loop, word, "::1"));
  }
  for (const char* word :
       {"ip6", "ip6:", "ip6:256", "ip6:-1", "ip6:no-such-protocol", "ip6:58 ", "ip4:1", "ip:58", "icmp"}) {
    INFO(word);
    CHECK(listen_packet(loop, word, "::").error() == errc::unknown_network);
  }
  CHECK(listen_packet(loop, "ip6:89", "[::1]:0").error() == errc::not_an_address);
  CHECK(listen_packet(loop, "ip6:89", "127.0.0.1").error() == std::errc::invalid_argument);
  CHECK(dial_packet(loop, "ip6:89", "::ffff:127.0.0.1").error() == std::errc::invalid_argument);
  CHECK(listen_packet(loop, "ip6:89", "fe80::1%nosuch0").error() == errc::unknown_zone);
  CHECK(listen_packet(loop, "ip6:89", "2001:db8::1").error() == std::errc::address_not_available);
}

TEST_CASE("a raw conn needs CAP_NET_RAW, and its error says so") {
  event_loop loop;
  std::error_code refused;
  std::thread([&] {
    drop_capabilities();
    const auto got = listen_packet(loop, "ip6:89", "::1");
    if (!got) refused = got.error();
  }).join();
  CHECK(refused == std::errc::operation_not_permitted);
}

TEST_CASE("a raw conn sends and receives payloads, each with its control message") {
  const network_namespace space;
  event_loop loop;
  const auto inside = space.enter();
  run(loop, [&]() -> task<> {
    auto from = open_raw(loop);
    auto to = open_raw(loop);
    auto other = open_raw(loop, "ip6:254");
    REQUIRE(to.set_control_message(all_control, true));
    std::array<std::byte, 64> buffer;
    for (const int value : {0, 1, 0xc0, 255}) {
      const control_message control{.traffic_class = value, .hop_limit = value};
      const auto sent = co_await from.write_to(as_payload("payload"), control, to_loopback);
      REQUIRE(sent);
      CHECK(*sent == 7);
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      CHECK(as_text(got->payload) == "payload");
      CHECK(got->source == to_loopback);
      CHECK(got->control.traffic_class == value);
      CHECK(got->control.hop_limit == value);
      CHECK(got->control.destination == ip_address::loopback());
      CHECK(got->control.interface_index == loopback_index);
    }
    // A conn reads packets of its own protocol only: the first one that it reads is one of these.
    auto sent = co_await other.write_to(as_payload("254"), to_loopback);
    REQUIRE(sent);
    const auto got = co_await other.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "254");

    // A raw conn cannot send to a port, to IPv4, or from an address of another host.
    sent = co_await from.write_to(as_payload("x"), {ip_address::loopback(), 9});
    REQUIRE_FALSE(sent);
    CHECK(sent.error() == std::errc::invalid_argument);
    sent = co_await from.write_to(as_payload("x"), {ip_address::v4_mapped({127, 0, 0, 1}), 0});
    REQUIRE_FALSE(sent);
    CHECK(sent.error() == std::errc::invalid_argument);
    const control_message foreign{.source = or_throw(ip_address::parse("2001:db8::9"))};
    sent = co_await from.write_to(as_payload("x"), foreign, to_loopback);
    REQUIRE_FALSE(sent);
    CHECK(sent.error() == std::errc::invalid_argument);
  });
}

TEST_CASE("a raw payload has any length from 0 to all that a packet carries") {
  const network_namespace space;
  event_loop loop;
  const auto inside = space.enter();
  run(loop, [&]() -> task<> {
    auto from = open_raw(loop);
    auto to = open_raw(loop);
    bytes buffer(70'000);
    for (const std::size_t length : {0UL, 1UL, 1452UL, 65'535UL}) {
      INFO(length);
      const bytes payload(length, std::byte{0x5a});
      const auto sent = co_await from.write_to(payload, to_loopback);
      REQUIRE(sent);
      CHECK(*sent == length);
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      CHECK(std::ranges::equal(got->payload, payload));
      CHECK_FALSE(got->truncated);
    }
    const bytes longer(65'536);
    const auto sent = co_await from.write_to(longer, to_loopback);
    REQUIRE_FALSE(sent);
    CHECK(sent.error() == errc::too_long);
  });
}

TEST_CASE("a raw batch leaves whole, one packet for each message") {
  const network_namespace space;
  event_loop loop;
  const auto inside = space.enter();
  run(loop, [&]() -> task<> {
    auto from = open_raw(loop);
    auto to = open_raw(loop);
    std::vector<numbered> payloads;
    for (std::uint64_t i = 0; i < 40; ++i) payloads.emplace_back(i);
    std::vector<write_slot> batch;
    for (const numbered& each : payloads) batch.push_back({each, {}, to_loopback, {}});
    const auto sent = co_await from.write_batch(batch);
    REQUIRE(sent);
    CHECK(*sent == batch.size());
    std::array<std::byte, 64> buffer;
    for (std::uint64_t i = 0; i < 40; ++i) {
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      CHECK(got->payload.size() == 8);
      CHECK(number_in(got->payload) == i);
    }
    CHECK(from.stats().sent_trains == 0);
  });
}

TEST_CASE("a dialed raw conn hears and speaks to its peer only") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto near =
        cable.near.space.run([&] { return or_throw(dial_packet(loop, "ip6:253", cable.far.address.to_string())); });
    auto far = cable.far.space.run([&] { return or_throw(listen_packet(loop, "ip6:253", "::")); });
    CHECK(or_throw(near.peer_endpoint()).address == cable.far.address);
    CHECK(or_throw(near.path_mtu()) == cable.near.link.mtu);
    CHECK(far.path_mtu().error() == std::errc::not_connected);
    const auto sent = co_await near.write(as_payload("hello"));
    REQUIRE(sent);
    std::array<std::byte, 16> buffer;
    const auto asked = co_await far.read_from(buffer);
    REQUIRE(asked);
    CHECK(asked->source == endpoint{cable.near.address, 0});
    const auto answered = co_await far.write_to(as_payload("answer"), asked->source);
    REQUIRE(answered);
    const auto got = co_await near.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "answer");
  });
}

TEST_CASE("a raw read ends with its stop, its deadline and its conn, and loses no packet") {
  const network_namespace space;
  event_loop loop;
  const auto inside = space.enter();
  run(loop, [&]() -> task<> {
    auto from = open_raw(loop);
    auto to = open_raw(loop);
    std::vector<std::error_code> ends;
    const auto read = [&]() -> task<> {
      std::array<std::byte, 16> buffer;
      const auto got = co_await to.read_from(buffer);
      ends.push_back(got ? std::error_code() : got.error());
    };
    beside stopped(loop, read());
    co_await yield();
    stopped.request_stop();
    co_await stopped.join();
    REQUIRE(to.set_read_deadline(std::chrono::steady_clock::now() + 1ms));
    beside late(loop, read());
    co_await late.join();
    REQUIRE(to.set_read_deadline({}));
    const auto sent = co_await from.write_to(as_payload("still there"), to_loopback);
    CHECK(sent);
    beside served(loop, read());
    co_await served.join();
    beside closed(loop, read());
    co_await yield();
    REQUIRE(to.close());
    co_await closed.join();
    CHECK(ends == std::vector<std::error_code>{errc::canceled, errc::deadline_exceeded, {}, errc::closed});
  });
}

// The kernel checks the memberships of a raw socket only if it is bound to an address, and the packet has another
// destination.
TEST_CASE("a raw conn bound to an address hears its groups and sources only, an unbound one hears those of the host") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    const auto open_far = [&](const std::string& address) {
      return cable.far.space.run([&] { return or_throw(listen_packet(loop, "ip6:253", address)); });
    };
    auto bound = open_far(cable.far.address.to_string());
    auto any = open_far("::");
    auto other = open_far(cable.far.address.to_string());
    auto from = cable.near.space.run([&] { return or_throw(listen_packet(loop, "ip6:253", "::")); });
    const ip_address group = or_throw(ip_address::parse("ff35::1234"));
    REQUIRE(bound.join_source_specific_group(cable.far.link, group, cable.near.address));
    std::array<std::byte, 16> buffer;
    const auto send = [&](std::string_view text, const ip_address& source, const ip_address& to) -> task<> {
      const control_message control{.interface_index = cable.near.link.index, .source = source};
      const auto sent = co_await from.write_to(as_payload(text), control, {to, 0});
      REQUIRE(sent);
    };
    const auto expect = [&](packet_conn& at, std::string_view text) -> task<> {
      const auto got = co_await at.read_from(buffer);
      REQUIRE(got);
      CHECK(as_text(got->payload) == text);
    };
    co_await send("stranger", cable.near.link_local, group);
    co_await send("friend", cable.near.address, group);
    co_await send("unicast", cable.near.address, cable.far.address);
    co_await expect(bound, "friend");
    co_await expect(bound, "unicast");
    co_await expect(any, "stranger");
    co_await expect(any, "friend");
    co_await expect(other, "unicast");
  });
}

// --- on the wire ---

TEST_CASE("a conn of protocol 255 sends packets with the header that the caller wrote") {
  const network_namespace space;
  event_loop loop;
  const auto inside = space.enter();
  run(loop, [&]() -> task<> {
    auto from = open_raw(loop, "ip6:255", "::");
    auto to = open_raw(loop);
    REQUIRE(to.set_control_message(all_control, true));
    bytes packet(ipv6_header::size + 5, std::byte{'x'});
    const ipv6_header fixed{.traffic_class = 0x1c,
                            .flow_label = 0x12345,
                            .payload_length = 5,
                            .next_header = ip_protocol{253},
                            .hop_limit = 3,
                            .source = ip_address::loopback(),
                            .destination = ip_address::loopback()};
    REQUIRE(fixed.encode(packet));
    auto sent = co_await from.write_to(packet, to_loopback);
    REQUIRE(sent);
    std::array<std::byte, 64> buffer;
    const auto got = co_await to.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "xxxxx");
    CHECK(got->control.traffic_class == 0x1c);
    CHECK(got->control.hop_limit == 3);
    sent = co_await from.write_to(std::span(packet).first(39), to_loopback);
    REQUIRE_FALSE(sent);
    CHECK(sent.error() == std::errc::invalid_argument);
  });
}

TEST_CASE("an OSPF hello reaches its group as it was written, with the kernel's checksum") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    const ip_address group = or_throw(ip_address::parse("ff02::5"));
    auto from = cable.near.space.run([&] { return or_throw(listen_packet(loop, "ip6:89", "::")); });
    auto to = cable.far.space.run([&] { return or_throw(listen_packet(loop, "ip6:ospf", "::")); });
    REQUIRE(from.set_checksum(12));
    REQUIRE(to.set_checksum(12));
    REQUIRE(to.join_group(cable.far.link, group));
    REQUIRE(to.set_control_message(all_control, true));
    packet_capture wire(cable.far);
    bytes hello(40);
    hello[0] = std::byte{3};
    hello[1] = std::byte{1};
    const control_message control{.traffic_class = 0xc0, .hop_limit = 1, .interface_index = cable.near.link.index};
    const auto sent = co_await from.write_to(hello, control, {group, 0});
    REQUIRE(sent);
    std::array<std::byte, 64> buffer;
    const auto got = co_await to.read_from(buffer);
    REQUIRE(got);
    CHECK(got->control.destination == group);
    CHECK(got->control.hop_limit == 1);
    CHECK(got->control.traffic_class == 0xc0);
    CHECK(got->source.address == cable.near.link_local.with_zone(cable.far.link.index));
    const auto seen = wire.find([](const test::packet& p) { return p[6] == 89; });
    REQUIRE(seen);
    const auto whole = std::as_bytes(std::span(*seen));
    const ipv6_header fixed = or_throw(ipv6_header::parse(whole));
    CHECK(upper_layer_checksum(whole.subspan(40), fixed.source, fixed.destination, ip_protocol::ospf) == 0);
  });
}

}  // namespace
