#include "uring6/icmp/message.hpp"

#include <fmt/format.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <iterator>
#include <vector>

#include "support/traffic/icmp.hpp"
#include "uring6/checksum.hpp"
#include "uring6/icmp/format.hpp"

namespace icmp = uring6::icmp;
using uring6::errc;
using uring6::icmp_type;
using uring6::ip_address;
using uring6::ip_protocol;
using uring6::test::bytes;
using uring6::test::counting;
using uring6::test::encode_error;
using uring6::test::encoded;
using uring6::test::from_hex;
using uring6::test::refusal_of;
using uring6::test::to_hex;

namespace {

const ip_address source = ip_address::parse("2001:db8::1").value();
const ip_address destination = ip_address::parse("2001:db8::2").value();

}  // namespace

TEST_CASE("a message has type, code and checksum before its body") {
  const bytes packet = from_hex("8007 1234 0001 0002 cafe");
  const auto message = uring6::or_throw(icmp::parse(packet));
  CHECK(message.type == icmp_type::echo_request);
  CHECK(message.code == 7);
  CHECK(message.checksum == 0x1234);
  CHECK(std::holds_alternative<icmp::echo_request>(message.body));
}

TEST_CASE("a message shorter than its header is malformed") {
  for (std::size_t size = 0; size < 4; ++size) CHECK(refusal_of(bytes(size)) == errc::malformed);
}

TEST_CASE("a message of another type keeps its bytes") {
  const bytes packet = from_hex("c802 0000 cafe");
  const auto message = uring6::or_throw(icmp::parse(packet));
  const auto raw = std::get<icmp::raw_body>(message.body);
  CHECK(raw.type == icmp_type::private_experiment_200);
  CHECK(raw.code == 2);
  CHECK(to_hex(raw.data) == "cafe");
  CHECK(to_hex(encoded(message.body)) == to_hex(packet));
  CHECK(icmp::type_of(raw) == icmp_type::private_experiment_200);
  CHECK(fmt::format("{}", message) == "private experimentation code=2 data=2");
  CHECK(fmt::format("{}", icmp::raw_body{.type = static_cast<icmp_type>(99)}) == "icmp type 99 code=0 data=0");
}

TEST_CASE("every type is either decoded or refused, with any octets behind it") {
  for (unsigned type = 0; type < 256; ++type) {
    for (std::size_t size = 0; size <= 64; ++size) {
      for (const unsigned fill : {0x00U, 0x01U, 0xffU}) {
        bytes packet(4 + size, static_cast<std::byte>(fill));
        packet[0] = static_cast<std::byte>(type);
        const bytes exactly = uring6::test::exact(packet);
        const auto message = icmp::parse(exactly);
        if (!message) {
          REQUIRE(message.error() == errc::malformed);
        } else {
          REQUIRE(static_cast<unsigned>(message->type) == type);
          REQUIRE(icmp::type_of(message->body) == message->type);
          REQUIRE(encode_error(message->body) == std::error_code());
        }
      }
    }
  }
}

TEST_CASE("the checksum is left to the kernel unless the addresses are given") {
  const icmp::echo_request echo{.identifier = 1, .sequence = 2};
  bytes area(8);
  REQUIRE(icmp::encode(echo, area) == 8);
  CHECK(to_hex(area) == "8000000000010002");
  REQUIRE(icmp::encode(echo, area, source, destination) == 8);
  CHECK(uring6::upper_layer_checksum(area, source, destination, ip_protocol::icmpv6) == 0);
  // 2001+0db8+0001+2001+0db8+0002+0008+003a+8000+0001+0002 = dbba; its complement.
  CHECK(to_hex(area) == "8000244500010002");
}

TEST_CASE("the checksum is verified when the addresses are given (golang/go#70340)") {
  bytes packet(64);
  const bytes data = counting(11);
  packet.resize(uring6::or_throw(icmp::encode(icmp::echo_reply{.data = data}, packet, source, destination)));
  CHECK(icmp::parse(packet, source, destination));
  CHECK(icmp::parse(packet, destination, source));
  CHECK(icmp::parse(packet, source, source).error() == errc::malformed);
  for (std::size_t at = 0; at < packet.size(); ++at) {
    bytes changed = packet;
    changed[at] ^= std::byte{0x10};
    CHECK(icmp::parse(changed, source, destination).error() == errc::malformed);
  }
  // Without the addresses the checksum cannot be verified.
  packet[2] ^= std::byte{1};
  CHECK(icmp::parse(packet));
}

TEST_CASE("a message that no packet can hold is too long") {
  const bytes most(65535 - 8);
  const bytes more(65535 - 7);
  CHECK(encode_error(icmp::echo_request{.data = most}) == std::error_code());
  CHECK(encode_error(icmp::echo_request{.data = more}) == errc::too_long);
  CHECK(encode_error(icmp::raw_body{.data = more}) == std::error_code());
  CHECK(encode_error(icmp::packet_too_big{.data = more}) == errc::too_long);
}

TEST_CASE("an encoder that runs out of room writes nothing behind it") {
  const bytes data = counting(32);
  for (std::size_t size = 0; size < 40; ++size) {
    bytes area(size + 8, std::byte{0xee});
    const auto room = std::span(area).first(size);
    CHECK(icmp::encode(icmp::echo_request{.data = data}, room).error() == std::errc::no_buffer_space);
    CHECK(to_hex(std::span(area).subspan(size)) == "eeeeeeeeeeeeeeee");
  }
}

TEST_CASE("a list is a forward range, of values as of bytes") {
  static_assert(std::forward_iterator<icmp::list<ip_address>::iterator>);
  static_assert(std::ranges::forward_range<icmp::list<icmp::option>>);
  const std::vector<ip_address> values{source, destination, source};
  const bytes packed = from_hex(
      "20010db8000000000000000000000001 20010db8000000000000000000000002 20010db8000000000000000000000001 "
      "ffff");
  for (const auto& list : {icmp::list<ip_address>(values), icmp::list<ip_address>::in_packet(packed)}) {
    CHECK(list.size() == 3);
    CHECK_FALSE(list.empty());
    CHECK(std::vector<ip_address>(list.begin(), list.end()) == values);
    auto at = list.begin();
    const auto first = at++;
    CHECK(*first == source);
    CHECK(*at == destination);
    CHECK(first != at);
    CHECK(std::next(first) == at);
    CHECK(std::next(at, 2) == list.end());
  }
  CHECK(icmp::list<ip_address>().empty());
  const std::vector<ip_address> none;
  CHECK(icmp::list<ip_address>(none).empty());
  CHECK(icmp::list<ip_address>::in_packet(std::span(packed).first(15)).empty());
}
