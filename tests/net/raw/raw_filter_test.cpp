// The kernel's services for a raw conn: it writes and verifies a checksum, and filters packets.

#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/link_control.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"
#include "uring6/bpf.hpp"
#include "uring6/checksum.hpp"
#include "uring6/header.hpp"
#include "uring6/icmp.hpp"
#include "uring6/interface.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

TEST_CASE("the checksum offset of a conn is turned off, set to an even number, and turned off again") {
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

TEST_CASE("the kernel writes the checksum at the given offset, and drops a packet with a wrong one") {
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
    // A payload without room for the checksum is refused.
    for (const std::size_t length : {0UL, 4UL, 5UL}) {
      sent = co_await from.write_to(std::span(payload).first(length), to_loopback);
      REQUIRE_FALSE(sent);
      CHECK(sent.error() == std::errc::invalid_argument);
    }
    sent = co_await from.write_to(std::span(payload).first(6), to_loopback);
    CHECK(sent);
  });
}

TEST_CASE("the checksum of a raw ICMPv6 conn can be left to the caller, or be at another offset") {
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

    // Without a checksum the message leaves as it is, with a wrong one. Only a conn that verifies none reads it.
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

    // The careful conn has dropped the first message: its checksum is wrong at both offsets.
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

    // The request arrives on ::1, too; only the reply passes the filter.
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

/// A program that keeps packets with this first octet of payload, which for UDP is behind the header.
bpf::program begins_with(char first, std::uint32_t offset, std::uint32_t keep) {
  return {bpf::load_absolute{offset, bpf::width::byte},
          bpf::jump_if{bpf::jump_test::equal, static_cast<std::uint32_t>(first), 0, 1}, bpf::ret_constant{keep},
          bpf::ret_constant{0}};
}

TEST_CASE("a BPF program chooses the packets of a conn, until it is detached") {
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
      // A second program replaces the first, and cuts the packets.
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
    // The longest program of a power of two for which an unused socket has option memory (net.core.optmem_max: 20 KiB
    // until Linux 6.8, 128 KiB since).
    std::size_t length = 4096;
    while (!at.attach_bpf(bpf::program(length, bpf::ret_constant{0}))) length /= 2;
    REQUIRE(length >= 512);
    REQUIRE(at.detach_bpf());
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
    const bpf::program longest(length, bpf::ret_constant{0});
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

}  // namespace
