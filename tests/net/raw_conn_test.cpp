// packet_conn for raw IP: the payload of packets of one protocol, the checksum that the kernel computes, filters.

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <thread>
#include <vector>

#include "support/bytes.hpp"
#include "support/capabilities.hpp"
#include "support/conns.hpp"
#include "support/coroutines.hpp"
#include "support/link_control.hpp"
#include "support/packet_capture.hpp"
#include "support/veth_pair.hpp"
#include "uring6/bpf.hpp"
#include "uring6/checksum.hpp"
#include "uring6/header.hpp"
#include "uring6/icmp.hpp"
#include "uring6/interface.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

const endpoint to_loopback{ip_address::loopback(), 0};

packet_conn open_raw(event_loop& loop, const char* network = "ip6:253", const char* address = "::1") {
  return or_throw(listen_packet(loop, network, address));
}

TEST_CASE("raw conns are opened by the name or number of their protocol, with Go's words") {
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
  CHECK(listen_packet(loop, "ip6:89", "[::1]:0").error() == errc::bad_address);
  CHECK(listen_packet(loop, "ip6:89", "127.0.0.1").error() == std::errc::invalid_argument);
  CHECK(dial_packet(loop, "ip6:89", "::ffff:127.0.0.1").error() == std::errc::invalid_argument);
  CHECK(listen_packet(loop, "ip6:89", "fe80::1%nosuch0").error() == errc::unknown_zone);
  CHECK(listen_packet(loop, "ip6:89", "2001:db8::1").error() == std::errc::address_not_available);
}

TEST_CASE("a raw conn needs CAP_NET_RAW, and says so") {
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
    // Nothing of another protocol: what comes first there is its own.
    auto sent = co_await other.write_to(as_payload("254"), to_loopback);
    REQUIRE(sent);
    const auto got = co_await other.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "254");

    // What cannot be sent: to a port, to IPv4, from an address that is not ours.
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

TEST_CASE("a raw payload is anything from nothing to all that a packet carries") {
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

TEST_CASE("a raw batch goes out whole, one packet each") {
  const network_namespace space;
  event_loop loop;
  const auto inside = space.enter();
  run(loop, [&]() -> task<> {
    auto from = open_raw(loop);
    auto to = open_raw(loop);
    std::vector<numbered> payloads;
    for (std::uint64_t i = 0; i < 40; ++i) payloads.emplace_back(i);
    std::vector<outgoing> batch;
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

TEST_CASE("a raw read ends with its stop, its deadline and its conn, and loses nothing") {
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

// The kernel looks at the memberships of a raw socket only where the address that it is bound to does not decide.
TEST_CASE("a raw conn bound to an address hears its groups and sources only, one bound to any hears the host's") {
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

// --- the checksum ---

TEST_CASE("the checksum offset of a conn is nothing, an even number, and nothing again") {
  const network_namespace space;
  event_loop loop;
  const auto inside = space.enter();
  auto raw = open_raw(loop, "ip6:ospf");
  CHECK(or_throw(raw.checksum()) == std::nullopt);
  for (const int offset : {0, 2, 12, 65'534}) {
    REQUIRE(raw.set_checksum(offset));
    CHECK(or_throw(raw.checksum()) == offset);
  }
  CHECK(raw.set_checksum(13).error() == std::errc::invalid_argument);
  CHECK(raw.set_checksum(-1).error() == errc::out_of_range);
  CHECK(raw.set_checksum(-2).error() == errc::out_of_range);
  CHECK(or_throw(raw.checksum()) == 65'534);
  REQUIRE(raw.set_checksum({}));
  CHECK(or_throw(raw.checksum()) == std::nullopt);

  auto icmp = open_raw(loop, "ip6:ipv6-icmp");
  CHECK(or_throw(icmp.checksum()) == 2);
  CHECK(icmp.set_checksum(2));

  auto udp = open_conn(loop);
  CHECK(udp.checksum().error() == std::errc::no_protocol_option);
  CHECK(udp.set_checksum(2).error() == std::errc::no_protocol_option);
  REQUIRE(udp.close());
  CHECK(udp.checksum().error() == errc::closed);
  CHECK(udp.set_checksum({}).error() == errc::closed);
}

TEST_CASE("the kernel writes the checksum where it was told, and drops what arrives with a wrong one") {
  const network_namespace space;
  event_loop loop;
  const auto inside = space.enter();
  run(loop, [&]() -> task<> {
    auto from = open_raw(loop);
    auto careless = open_raw(loop);
    auto to = open_raw(loop);
    REQUIRE(from.set_checksum(4));
    REQUIRE(to.set_checksum(4));
    const bytes wrong(8, std::byte{0x11});
    auto sent = co_await careless.write_to(wrong, to_loopback);
    REQUIRE(sent);
    const bytes payload(32, std::byte{0});
    sent = co_await from.write_to(payload, to_loopback);
    REQUIRE(sent);
    std::array<std::byte, 64> buffer;
    const auto got = co_await to.read_from(buffer);
    REQUIRE(got);
    REQUIRE(got->payload.size() == payload.size());
    CHECK(upper_layer_checksum(got->payload, ip_address::loopback(), ip_address::loopback(), ip_protocol{253}) == 0);
    CHECK((got->payload[4] != std::byte{0} || got->payload[5] != std::byte{0}));
    // There must be room for it.
    for (const std::size_t length : {0UL, 4UL, 5UL}) {
      sent = co_await from.write_to(std::span(payload).first(length), to_loopback);
      REQUIRE_FALSE(sent);
      CHECK(sent.error() == std::errc::invalid_argument);
    }
    sent = co_await from.write_to(std::span(payload).first(6), to_loopback);
    CHECK(sent);
  });
}

TEST_CASE("the checksum of a raw ICMPv6 conn can be left to the caller, or stand elsewhere") {
  const network_namespace space;
  event_loop loop;
  const auto inside = space.enter();
  run(loop, [&]() -> task<> {
    auto from = open_raw(loop, "ip6:ipv6-icmp");
    auto to = open_raw(loop, "ip6:ipv6-icmp");
    auto careful = open_raw(loop, "ip6:ipv6-icmp");
    REQUIRE(to.set_checksum({}));
    std::array<std::byte, 64> buffer;
    bytes message = from_hex("c8 00 beef 0000 0101");  // type 200, private
    const auto send = [&]() -> task<> {
      const auto sent = co_await from.write_to(message, to_loopback);
      REQUIRE(sent);
    };
    const auto expect = [&](packet_conn& at) -> task<bytes> {
      const auto got = co_await at.read_from(buffer);
      REQUIRE(got);
      co_return bytes(got->payload.begin(), got->payload.end());
    };
    const auto checked = [](const bytes& all) {
      return upper_layer_checksum(all, ip_address::loopback(), ip_address::loopback(), ip_protocol::icmpv6) == 0;
    };

    // Off: it goes as it is, wrong. Only who does not look hears it.
    REQUIRE(from.set_checksum({}));
    CHECK(or_throw(from.checksum()) == std::nullopt);
    co_await send();
    auto heard = co_await expect(to);
    CHECK(heard == message);

    REQUIRE(from.set_checksum(4));
    CHECK(or_throw(from.checksum()) == 4);
    co_await send();
    heard = co_await expect(to);
    CHECK(checked(heard));
    CHECK(to_hex(std::span(heard).first(4)) == "c800beef");
    CHECK(to_hex(std::span(heard).subspan(4, 2)) != "0000");

    REQUIRE(from.set_checksum(2));
    message = from_hex("c8 01 0000 0000 0101");
    co_await send();
    heard = co_await expect(to);
    CHECK(checked(heard));
    CHECK(to_hex(std::span(heard).subspan(2, 2)) != "0000");

    // What the careful one has not heard is the first, whose checksum is wrong wherever one looks.
    heard = co_await expect(careful);
    CHECK(to_hex(std::span(heard).first(2)) == "c800");
    CHECK(checked(heard));
    heard = co_await expect(careful);
    CHECK(to_hex(std::span(heard).first(2)) == "c801");
  });
}

// --- filters ---

TEST_CASE("the ICMPv6 filter of a conn reads back, works, and is refused where there is none") {
  const network_namespace space;
  event_loop loop;
  const auto inside = space.enter();
  run(loop, [&]() -> task<> {
    auto at = open_raw(loop, "ip6:ipv6-icmp");
    uring6::icmp_filter filter;
    CHECK(or_throw(at.icmp_filter()) == filter);
    filter.set_all(true);
    filter.accept(icmp_type::echo_reply);
    REQUIRE(at.set_icmp_filter(filter));
    CHECK(or_throw(at.icmp_filter()) == filter);

    // The request, too, arrives on ::1; only the reply passes.
    const bytes request = [&] {
      bytes area(64);
      area.resize(or_throw(icmp::encode(icmp::echo_request{.identifier = 7, .sequence = 9}, area)));
      return area;
    }();
    const auto sent = co_await at.write_to(request, to_loopback);
    REQUIRE(sent);
    std::array<std::byte, 64> buffer;
    const auto got = co_await at.read_from(buffer);
    REQUIRE(got);
    const auto message = or_throw(icmp::parse(got->payload, got->source.address, ip_address::loopback()));
    CHECK(message.type == icmp_type::echo_reply);
    CHECK(std::get<icmp::echo_reply>(message.body).identifier == 7);

    auto ospf = open_raw(loop, "ip6:ospf");
    CHECK(ospf.set_icmp_filter(filter).error() == std::errc::operation_not_supported);
    CHECK(ospf.icmp_filter().error() == std::errc::operation_not_supported);
    auto udp = open_conn(loop);
    CHECK(udp.set_icmp_filter(filter).error() == std::errc::no_protocol_option);
    CHECK(udp.icmp_filter().error() == std::errc::no_protocol_option);
    REQUIRE(at.close());
    CHECK(at.icmp_filter().error() == errc::closed);
    CHECK(at.set_icmp_filter(filter).error() == errc::closed);
  });
}

/// Keeps what begins with this octet, which of UDP stands behind the header.
bpf::program begins_with(char first, std::uint32_t offset, std::uint32_t keep) {
  return {bpf::load_absolute{offset, bpf::width::byte},
          bpf::jump_if{bpf::jump_test::equal, static_cast<std::uint32_t>(first), 0, 1}, bpf::ret_constant{keep},
          bpf::ret_constant{0}};
}

TEST_CASE("a BPF program chooses what a conn hears, until it is detached") {
  const network_namespace space;
  event_loop loop;
  const auto inside = space.enter();
  run(loop, [&]() -> task<> {
    auto udp = open_conn(loop);
    auto raw = open_raw(loop);
    std::array<std::byte, 16> buffer;
    struct subject {
      packet_conn& conn;
      endpoint there;
      std::uint32_t header;
    };
    for (const subject& each : {subject{udp, name_of(udp), 8}, subject{raw, to_loopback, 0}}) {
      const auto send = [&](std::string_view text) -> task<> {
        const auto sent = co_await each.conn.write_to(as_payload(text), each.there);
        REQUIRE(sent);
      };
      const auto expect = [&](std::string_view text) -> task<> {
        const auto got = co_await each.conn.read_from(buffer);
        REQUIRE(got);
        CHECK(as_text(got->payload) == text);
      };
      REQUIRE(each.conn.attach_bpf(begins_with('y', each.header, 0xffff)));
      co_await send("no");
      co_await send("yes");
      co_await expect("yes");
      // Another one takes its place, this time one that cuts.
      REQUIRE(each.conn.attach_bpf(begins_with('n', each.header, each.header + 1)));
      co_await send("yes");
      co_await send("no");
      co_await expect("n");
      REQUIRE(each.conn.detach_bpf());
      co_await send("any");
      co_await expect("any");
      CHECK(each.conn.detach_bpf().error() == std::errc::no_such_file_or_directory);
    }
  });
}

TEST_CASE("a BPF program that is empty, wrong or locked out is refused with its reason") {
  event_loop loop;
  auto at = open_conn(loop);
  CHECK(at.attach_bpf(std::span<const bpf::raw_instruction>()).error() == bpf::errc::empty_program);
  CHECK(at.attach_bpf(bpf::program{}).error() == std::errc::invalid_argument);
  CHECK(at.attach_bpf(bpf::program{bpf::load_constant{}}).error() == bpf::errc::no_return);
  CHECK(at.attach_bpf(bpf::raw_program{{.op = 0xffff}}).error() == bpf::errc::unknown_instruction);
  CHECK(at.attach_bpf(bpf::program(4097, bpf::ret_constant{1})).error() == bpf::errc::program_too_long);
  REQUIRE(at.attach_bpf(bpf::program{bpf::ret_constant{0xffff}}));
  const int on = 1;
  REQUIRE(::setsockopt(at.native_handle(), SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof on) == 0);
  CHECK(at.attach_bpf(bpf::program{bpf::ret_constant{0}}).error() == std::errc::operation_not_permitted);
  CHECK(at.detach_bpf().error() == std::errc::operation_not_permitted);
  REQUIRE(at.close());
  CHECK(at.attach_bpf(bpf::program{bpf::ret_constant{0}}).error() == errc::closed);
  CHECK(at.detach_bpf().error() == errc::closed);
}

TEST_CASE("a BPF program for which there is no option memory left is refused, and the conn goes on") {
  const network_namespace space;
  event_loop loop;
  const auto inside = space.enter();
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    const interface lo = or_throw(interface::by_name("lo"));
    // Memberships are of the same memory.
    std::error_code refused;
    std::vector<ip_address> joined;
    while (!refused) {
      const auto n = joined.size();
      const ip_address group({0xff, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, static_cast<std::uint8_t>(n >> 16),
                              static_cast<std::uint8_t>(n >> 8), static_cast<std::uint8_t>(n)});
      if (const auto one = at.join_group(lo, group)) {
        joined.push_back(group);
      } else {
        refused = one.error();
      }
    }
    CHECK(refused == std::errc::not_enough_memory);
    const bpf::program longest(4096, bpf::ret_constant{0});
    CHECK(at.attach_bpf(longest).error() == std::errc::not_enough_memory);
    const auto sent = co_await at.write_to(as_payload("not filtered"), name_of(at));
    REQUIRE(sent);
    std::array<std::byte, 16> buffer;
    const auto got = co_await at.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "not filtered");
    for (const ip_address& each : joined) REQUIRE(at.leave_group(lo, each));
    CHECK(at.attach_bpf(longest));
  });
}

// --- what goes over the wire ---

TEST_CASE("a conn of protocol 255 sends packets whose header the caller wrote") {
  const network_namespace space;
  event_loop loop;
  const auto inside = space.enter();
  run(loop, [&]() -> task<> {
    auto from = open_raw(loop, "ip6:255", "::");
    auto to = open_raw(loop);
    REQUIRE(to.set_control_message(all_control, true));
    bytes packet(header::size + 5, std::byte{'x'});
    const header fixed{.traffic_class = 0x1c,
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

TEST_CASE("an OSPF hello leaves for its group as it was made, with the checksum of the kernel") {
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
    const header fixed = or_throw(header::parse(whole));
    CHECK(upper_layer_checksum(whole.subspan(40), fixed.source, fixed.destination, ip_protocol::ospf) == 0);
  });
}

}  // namespace
