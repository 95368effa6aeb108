// A caller's mistakes: each gives an error code with a readable message, and a socket that is open still works.

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

template <class T, class Expected>
void check_refused(const result<T>& got, Expected expected) {
  REQUIRE_FALSE(got);
  CHECK(got.error() == expected);
  const std::string message = got.error().message();
  CHECK(message.size() > 5);
  CHECK(message.find("nknown error") == std::string::npos);
}

TEST_CASE("an unknown network word") {
  event_loop loop;
  for (const char* word : {"", "udp4", "UDP6", "udp66", "tcp6", "tcp6x", "udp6 ", "icmp", "unix"}) {
    check_refused(listen_packet(loop, word, "[::1]:0"), errc::unknown_network);
    check_refused(dial_packet(loop, word, "[::1]:9"), errc::unknown_network);
  }
  // The message lists every network word, and where it can be used.
  const std::string expected = make_error_code(errc::unknown_network).message();
  const auto begins = [&](const char* text) { return expected.find(text); };
  for (const char* word : {"udp", "udp6", "icmp6", "ip6:"}) {
    CHECK(begins(word) > begins("packets:"));
    CHECK(begins(word) < begins("streams:"));
  }
  CHECK(begins("tcp6") > begins("streams:"));
  CHECK(begins("tcp6") != std::string::npos);
}

TEST_CASE("an address that is malformed, has no port, or names an unknown zone") {
  event_loop loop;
  for (const char* text : {"[::1]", "::1", "[::1]:"}) {
    const auto got = listen_packet(loop, "udp6", text);
    REQUIRE_FALSE(got);
    CHECK(got.error() == std::errc::invalid_argument);
    CHECK_FALSE(got.error().message().empty());
  }
  check_refused(listen_packet(loop, "udp6", "[::1]"), errc::missing_port);
  check_refused(dial_packet(loop, "udp6", "[::1]"), errc::missing_port);
  check_refused(listen_packet(loop, "udp6", "[::g]:1"), errc::not_an_address);
  check_refused(listen_packet(loop, "udp6", "[::1]:65536"), errc::out_of_range);
  check_refused(listen_packet(loop, "udp6", "[fe80::1%nosuch0]:1"), errc::unknown_zone);
  check_refused(dial_packet(loop, "udp6", "[fe80::1%nosuch0]:1"), errc::unknown_zone);
  check_refused(listen_packet(loop, "udp6", "[fe80::1%7654321]:1"), errc::unknown_zone);
  check_refused(listen_packet(loop, "udp6", "127.0.0.1:0"), std::errc::invalid_argument);
}

TEST_CASE("an address of another host, and a device that does not exist") {
  event_loop loop;
  check_refused(listen_packet(loop, "udp6", "[2001:db8::1]:0"), std::errc::address_not_available);
  CHECK(listen_packet(loop, "udp6", "[2001:db8::1]:0", {.freebind = true}));
  check_refused(listen_packet(loop, "udp6", "[::1]:0", {.device = "nosuch0"}), errc::unknown_zone);
  check_refused(listen_packet(loop, "udp6", "[::1]:0", {.device = "a name that is far too long"}), errc::unknown_zone);
  CHECK(listen_packet(loop, "udp6", "[::1]:0", {.device = "lo"}));
}

TEST_CASE("options whose numbers are out of range") {
  event_loop loop;
  check_refused(listen_packet(loop, "udp6", "[::1]:0", {.receive_buffer = std::size_t{1} << 40}), errc::out_of_range);
  check_refused(listen_packet(loop, "udp6", "[::1]:0", {.send_buffer = std::size_t{1} << 63}), errc::out_of_range);
}

TEST_CASE("a port in use, unless both conns share it") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto first = open_conn(loop);
    const std::string name = name_of(first).to_string();
    check_refused(listen_packet(loop, "udp6", name), std::errc::address_in_use);
    check_refused(listen_packet(loop, "udp6", name, {.reuse_port = true}), std::errc::address_in_use);
    auto shared = open_conn(loop, {.reuse_port = true});
    CHECK(listen_packet(loop, "udp6", name_of(shared).to_string(), {.reuse_port = true}));
    auto multicast = or_throw(listen_packet(loop, "udp6", "[ff02::114%lo]:7778"));
    CHECK(listen_packet(loop, "udp6", "[ff02::114%lo]:7778"));

    const auto sent = co_await first.write_to(as_payload("still there"), name_of(first));
    CHECK(sent);
    std::array<std::byte, 16> buffer;
    const auto got = co_await first.read_from(buffer);
    CHECK(got);
  });
}

TEST_CASE("groups: an address that is none, joined twice, left without a join, on another interface") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    const interface& link = cable.near.link;
    const ip_address group = or_throw(ip_address::parse("ff02::114"));
    const ip_address source = or_throw(ip_address::parse("2001:db8::9"));
    check_refused(at.join_group(link, ip_address::loopback()), errc::not_multicast);
    check_refused(at.leave_group(link, ip_address::loopback()), errc::not_multicast);
    check_refused(at.join_source_specific_group(link, ip_address::loopback(), source), errc::not_multicast);
    check_refused(at.leave_group(link, group), errc::not_joined);
    REQUIRE(at.join_group(link, group));
    check_refused(at.join_group(link, group), errc::already_joined);
    CHECK(at.join_group(link, group).error() == std::errc::address_in_use);
    check_refused(at.join_group(link, group.with_zone(link.index + 1)), errc::zone_mismatch);
    interface nowhere = link;
    nowhere.index = 9999;
    check_refused(at.join_group(nowhere, group), errc::unknown_zone);
    REQUIRE(at.leave_group(link, group));
    check_refused(at.leave_group(link, group), errc::not_joined);
    check_refused(at.exclude_source_specific_group(link, group, source), std::errc::invalid_argument);
    check_refused(at.leave_source_specific_group(link, group, source), std::errc::invalid_argument);

    // The interface of the group's own zone, and that of the routing table.
    REQUIRE(at.join_group(group.with_zone(link.index)));
    check_refused(at.join_group(link, group), errc::already_joined);
    REQUIRE(at.leave_group(group));

    const auto sent = co_await at.write_to(as_payload("still there"), {cable.near.address, name_of(at).port});
    CHECK(sent);
    std::array<std::byte, 16> buffer;
    const auto got = co_await at.read_from(buffer);
    CHECK(got);
  });
}

TEST_CASE("option values outside their range never reach the kernel") {
  event_loop loop;
  auto at = open_conn(loop);
  for (const int bad : {256, -1, -2, 65'536, -2'147'483'647}) {
    check_refused(at.set_hop_limit(bad), errc::out_of_range);
    check_refused(at.set_traffic_class(bad), errc::out_of_range);
    check_refused(at.set_multicast_hop_limit(bad), errc::out_of_range);
  }
  for (const int good : {0, 1, 64, 255}) {
    REQUIRE(at.set_hop_limit(good));
    CHECK(or_throw(at.hop_limit()) == good);
    REQUIRE(at.set_traffic_class(good));
    CHECK(or_throw(at.traffic_class()) == good);
  }
  REQUIRE(at.set_hop_limit(std::nullopt));
  CHECK(or_throw(at.hop_limit()) == 64);
}

TEST_CASE("a payload that is too long, a destination too many, and one too few") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    auto connected = dial(loop, name_of(at));
    CHECK(or_throw(connected.peer_endpoint()) == name_of(at));
    check_refused(at.peer_endpoint(), std::errc::not_connected);

    const bytes longer(max_udp_payload + 1);
    auto sent = co_await at.write_to(longer, name_of(at));
    check_refused(sent, errc::too_long);
    CHECK(sent.error() == std::errc::message_size);
    sent = co_await connected.write(longer);
    check_refused(sent, errc::too_long);
    sent = co_await connected.write_to(as_payload("x"), name_of(at));
    check_refused(sent, std::errc::already_connected);
    sent = co_await at.write(as_payload("x"));
    check_refused(sent, std::errc::destination_address_required);
    sent = co_await at.write_to(as_payload("x"), {ip_address::loopback(), 0});
    check_refused(sent, std::errc::invalid_argument);
    sent = co_await at.write_to(as_payload("x"), {ip_address::v4_mapped({127, 0, 0, 1}), 9});
    check_refused(sent, errc::ipv4_address);

    sent = co_await connected.write(as_payload("fits"));
    CHECK(sent);
    std::array<std::byte, 16> buffer;
    const auto got = co_await at.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "fits");
  });
}

TEST_CASE("an option and a write that fail alike give the same error") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    const packet_options bound{.device = cable.near.link.name};
    auto at = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0", bound)); });
    const interface lo = or_throw(interface::by_name("lo"));
    const control_message by_lo{.interface_index = lo.index};
    const endpoint there{cable.far.address, 9};
    const auto same = [&](const result<void>& set, const result<std::size_t>& sent) {
      REQUIRE_FALSE(set);
      REQUIRE_FALSE(sent);
      CHECK(set.error() == sent.error());
      CHECK(set.error().category() == sent.error().category());
      CHECK(set.error().message() == sent.error().message());
    };
    auto sent = co_await at.write_to(as_payload("x"), by_lo, there);
    same(at.set_multicast_interface(lo), sent);
    check_refused(sent, std::errc::invalid_argument);
    const control_message too_far{.hop_limit = 256};
    sent = co_await at.write_to(as_payload("x"), too_far, there);
    same(at.set_hop_limit(256), sent);
    REQUIRE(at.close());
    sent = co_await at.write_to(as_payload("x"), there);
    same(at.set_hop_limit(1), sent);
  });
}

TEST_CASE("a host without a route, and one without IPv6, give their own errors") {
  const network_namespace empty;
  event_loop loop;
  run(loop, [&]() -> task<> {
    const auto inside = empty.enter();
    auto at = or_throw(listen_packet(loop, "udp6", "[::]:0"));
    const auto sent = co_await at.write_to(as_payload("x"), or_throw(endpoint::parse("[2001:db8::1]:9")));
    check_refused(sent, std::errc::network_unreachable);
    check_refused(dial_packet(loop, "udp6", "[2001:db8::1]:9"), std::errc::network_unreachable);
    write_sysctl("net/ipv6/conf/lo/disable_ipv6", "1");
    check_refused(listen_packet(loop, "udp6", "[::1]:0"), std::errc::address_not_available);
  });
}

}  // namespace
