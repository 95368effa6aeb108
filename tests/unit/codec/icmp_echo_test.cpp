#include "uring6/icmp/echo.hpp"

#include <fmt/format.h>

#include <array>
#include <catch2/catch_test_macros.hpp>

#include "support/traffic/icmp.hpp"
#include "uring6/icmp/format.hpp"

namespace icmp = uring6::icmp;
using uring6::errc;
using uring6::test::bytes;
using uring6::test::check_truncations;
using uring6::test::check_wire;
using uring6::test::encode_error;
using uring6::test::encoded;
using uring6::test::from_hex;
using uring6::test::parsed;

TEST_CASE("echo request and reply are laid out as in RFC 4443") {
  const bytes data = from_hex("cafe");
  check_wire(icmp::echo_request{.identifier = 0x1234, .sequence = 0xabcd, .data = data}, "8000 0000 1234 abcd cafe");
  check_wire(icmp::echo_reply{.identifier = 0x1234, .sequence = 0xabcd, .data = data}, "8100 0000 1234 abcd cafe");
  check_wire(icmp::echo_request{}, "8000 0000 0000 0000");
}

TEST_CASE("echo hands its data out in place") {
  const bytes packet = from_hex("8100 0000 1234 abcd cafe");
  const auto reply = parsed<icmp::echo_reply>(packet);
  CHECK(reply.identifier == 0x1234);
  CHECK(reply.sequence == 0xabcd);
  CHECK(reply.data.data() == packet.data() + 8);
  CHECK(reply.data.size() == 2);
}

TEST_CASE("echo refuses what is shorter than its header") {
  check_truncations(icmp::echo_request{.data = from_hex("cafe")}, 8);
  check_truncations(icmp::echo_reply{}, 8);
}

TEST_CASE("extended echo request asks by name, index or address as in RFC 8335") {
  const auto ask = [](const icmp::interface_ident& ident, std::string_view hex) {
    const std::array<icmp::extension, 1> extensions{ident};
    check_wire(
        icmp::extended_echo_request{.identifier = 0x1234, .sequence = 7, .local = true, .extensions = extensions}, hex);
  };
  // Extension header: version 2, checksum; object: length, class 3, C-Type 1 to 3.
  ask({icmp::interface_by_name{"eth0"}}, "a000 0000 1234 07 01  2000 0f52  0008 0301 65746830");
  ask({icmp::interface_by_name{"enp1s0"}}, "a000 0000 1234 07 01  2000 9422  000c 0301 656e7031 73300000");
  ask({icmp::interface_by_index{0x0102}}, "a000 0000 1234 07 01  2000 dbf3  0008 0302 00000102");
  const bytes mac = from_hex("02005e102030");
  ask({icmp::interface_by_address{.family = 16389, .address = mac}},
      "a000 0000 1234 07 01  2000 16a7  0010 0303 4005 0600 02005e10 20300000");
}

TEST_CASE("extended echo request reads back what it asks about") {
  const std::array<icmp::extension, 1> extensions{icmp::interface_ident{icmp::interface_by_name{"enp1s0"}}};
  const bytes packet = encoded(icmp::extended_echo_request{.sequence = 9, .local = false, .extensions = extensions});
  const auto request = parsed<icmp::extended_echo_request>(packet);
  CHECK(request.sequence == 9);
  CHECK_FALSE(request.local);
  REQUIRE(request.extensions.size() == 1);
  const auto ident = std::get<icmp::interface_ident>(*request.extensions.begin());
  CHECK(std::get<icmp::interface_by_name>(ident.by).name == "enp1s0");
}

TEST_CASE("a malformed extended echo request is still decoded, so that it can be answered") {
  // No extension; a wrong version; a wrong checksum.
  for (const auto* hex : {"a000 0000 1234 07 01", "a000 0000 1234 07 01 1000 0000 0008 0302 00000001",
                          "a000 0000 1234 07 01 2000 1234 0008 0302 00000001"}) {
    const bytes packet = from_hex(hex);
    CHECK(parsed<icmp::extended_echo_request>(packet).extensions.empty());
  }
  check_wire(icmp::extended_echo_request{.identifier = 0x1234, .sequence = 7}, "a000 0000 1234 07 01");
}

TEST_CASE("extended echo request refuses extensions of any other class") {
  const icmp::extension ident = icmp::interface_ident{icmp::interface_by_index{1}};
  const icmp::extension raw = icmp::raw_extension{.class_number = 9};
  const auto error_of = [](std::initializer_list<icmp::extension> list) {
    const std::vector<icmp::extension> extensions(list);
    return encode_error(icmp::extended_echo_request{.extensions = extensions});
  };
  CHECK(error_of({ident}) == std::error_code());
  CHECK(error_of({raw, raw}) == std::error_code());
  CHECK(error_of({ident, ident}) == std::errc::invalid_argument);
  CHECK(error_of({ident, raw}) == std::errc::invalid_argument);
  CHECK(error_of({icmp::interface_info{.index = 1}}) == std::errc::invalid_argument);
  CHECK(error_of({icmp::mpls_label_stack{}}) == std::errc::invalid_argument);
}

TEST_CASE("extended echo reply is laid out as in RFC 8335") {
  check_wire(
      icmp::extended_echo_reply{
          .code = icmp::extended_echo_code::no_such_interface, .identifier = 0x1234, .sequence = 7},
      "a102 0000 1234 07 00");
  check_wire(icmp::extended_echo_reply{.identifier = 1,
                                       .sequence = 2,
                                       .state = icmp::neighbor_state::failed,
                                       .active = true,
                                       .ipv4 = false,
                                       .ipv6 = true},
             "a100 0000 0001 02 c5");
  check_wire(icmp::extended_echo_reply{.state = icmp::neighbor_state::incomplete, .ipv4 = true},
             "a100 0000 0000 00 22");
  check_truncations(icmp::extended_echo_reply{}, 8);
}

TEST_CASE("extended echo reply refuses a state of more than three bits") {
  CHECK(encode_error(icmp::extended_echo_reply{.state = static_cast<icmp::neighbor_state>(7)}) == std::error_code());
  CHECK(encode_error(icmp::extended_echo_reply{.state = static_cast<icmp::neighbor_state>(8)}) == errc::out_of_range);
}

TEST_CASE("echo messages print in one line") {
  const bytes data(56);
  CHECK(fmt::format("{}", icmp::echo_request{.identifier = 1, .sequence = 2, .data = data}) ==
        "echo request id=1 seq=2 data=56");
  const std::array<icmp::extension, 1> extensions{icmp::interface_ident{icmp::interface_by_name{"a\nb"}}};
  CHECK(fmt::format("{}", icmp::extended_echo_request{.identifier = 1, .sequence = 2, .extensions = extensions}) ==
        "extended echo request id=1 seq=2 local=true [interface name=a\\010b]");
  CHECK(fmt::format("{}", icmp::extended_echo_reply{.code = icmp::extended_echo_code::multiple_interfaces}) ==
        "extended echo reply (multiple interfaces satisfy query) id=0 seq=0 state=reserved active=false "
        "ipv4=false "
        "ipv6=false");
}
