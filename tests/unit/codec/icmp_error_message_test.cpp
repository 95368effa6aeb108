#include "uring6/icmp/error_message.hpp"

#include <fmt/format.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "support/traffic/icmp.hpp"
#include "uring6/checksum.hpp"
#include "uring6/icmp/format.hpp"

namespace icmp = uring6::icmp;
using uring6::errc;
using uring6::test::bytes;
using uring6::test::check_truncations;
using uring6::test::check_wire;
using uring6::test::counting;
using uring6::test::encode_error;
using uring6::test::encoded;
using uring6::test::from_hex;
using uring6::test::join;
using uring6::test::parsed;
using uring6::test::to_hex;

namespace {

const std::array<icmp::mpls_label, 1> one_label{icmp::mpls_label{.label = 16014, .bottom_of_stack = true, .ttl = 1}};
const std::array<icmp::extension, 1> one_extension{icmp::mpls_label_stack{one_label}};

// An extension structure with these objects and a right checksum.
bytes structure(std::string_view objects) {
  bytes all = join({from_hex("2000 0000"), from_hex(objects)});
  const std::uint16_t sum = uring6::internet_checksum(all);
  all[2] = static_cast<std::byte>(sum >> 8);
  all[3] = static_cast<std::byte>(sum & 0xff);
  return all;
}

// A time exceeded message: length attribute, quotation, extension structure.
bytes time_exceeded(unsigned length_attribute, const bytes& data, const bytes& extensions) {
  bytes front = from_hex("0300 0000 0000 0000");
  front[4] = static_cast<std::byte>(length_attribute);
  return join({front, data, extensions});
}

}  // namespace

TEST_CASE("error messages are laid out as in RFC 4443") {
  const bytes data = from_hex("6000 0000 0008 1140");
  check_wire(icmp::destination_unreachable{.code = icmp::unreachable_code::port_unreachable, .data = data},
             "0104 0000 0000 0000 6000 0000 0008 1140");
  check_wire(icmp::packet_too_big{.mtu = 1280, .data = data}, "0200 0000 0000 0500 6000 0000 0008 1140");
  check_wire(icmp::time_exceeded{.code = icmp::time_exceeded_code::fragment_reassembly, .data = data},
             "0301 0000 0000 0000 6000 0000 0008 1140");
  check_wire(
      icmp::parameter_problem{
          .code = icmp::parameter_problem_code::unrecognized_option, .pointer = 0x01020304, .data = data},
      "0402 0000 0102 0304 6000 0000 0008 1140");
}

TEST_CASE("error messages refuse truncations of their header, and accept any length behind it") {
  const bytes data = counting(40);
  check_truncations(icmp::destination_unreachable{.data = data}, 8);
  check_truncations(icmp::packet_too_big{.data = data}, 8);
  check_truncations(icmp::time_exceeded{.data = data}, 8);
  check_truncations(icmp::parameter_problem{.data = data}, 8);
  check_truncations(icmp::time_exceeded{.data = data, .extensions = one_extension}, 8);
}

TEST_CASE("error messages keep a code that has no name") {
  const bytes packet = from_hex("01c8 0000 0000 0000");
  CHECK(parsed<icmp::destination_unreachable>(packet).code == static_cast<icmp::unreachable_code>(200));
  CHECK(to_hex(encoded(parsed<icmp::destination_unreachable>(packet))) == to_hex(packet));
}

TEST_CASE("a quotation before extensions is filled up to 128 bytes and counted in units of eight") {
  const bytes data = counting(40, 1);
  check_wire(icmp::time_exceeded{.data = data, .extensions = one_extension},
             "0300 0000 1000 0000" + to_hex(data) + std::string(std::size_t{88} * 2, '0') +
                 // MPLS label 16014 = 3e8e, bottom of stack, TTL 1: 03e8e 1 01
                 "2000 fa0c 0008 0101 03e8e101");
}

TEST_CASE("a longer quotation before extensions is filled up to eight bytes") {
  const bytes data = counting(129, 1);
  const bytes packet = encoded(icmp::destination_unreachable{.data = data, .extensions = one_extension});
  CHECK(packet[4] == std::byte{17});
  const auto back = parsed<icmp::destination_unreachable>(packet);
  REQUIRE(back.data.size() == 136);
  CHECK(to_hex(back.data) == to_hex(data) + "00000000000000");
  CHECK(back.extensions.size() == 1);
}

TEST_CASE("a quotation that the length attribute cannot count is an error, not a cut") {
  const bytes longest = counting(2040);
  const bytes longer = counting(2041);
  CHECK(encode_error(icmp::time_exceeded{.data = longest, .extensions = one_extension}) == std::error_code());
  CHECK(encode_error(icmp::time_exceeded{.data = longer, .extensions = one_extension}) == errc::too_long);
  // Without extensions there is nothing to count.
  CHECK(encode_error(icmp::time_exceeded{.data = longer}) == std::error_code());
}

TEST_CASE("extensions are found where the length attribute says") {
  const bytes packet = time_exceeded(17, counting(136, 1), structure("0008 0101 03e8e101"));
  const auto message = parsed<icmp::time_exceeded>(packet);
  CHECK(message.data.size() == 136);
  REQUIRE(message.extensions.size() == 1);
  const auto stack = std::get<icmp::mpls_label_stack>(*message.extensions.begin());
  REQUIRE(stack.labels.size() == 1);
  CHECK(*stack.labels.begin() == one_label[0]);
}

TEST_CASE("extensions of routers that set no length are found behind 128 bytes") {
  for (const unsigned attribute : {0U, 1U, 15U, 255U}) {
    const bytes packet = time_exceeded(attribute, counting(128, 1), structure("0008 0101 03e8e101"));
    const auto message = parsed<icmp::time_exceeded>(packet);
    INFO("length attribute " << attribute);
    CHECK(message.data.size() == 128);
    CHECK(message.extensions.size() == 1);
  }
}

TEST_CASE("octets that are no extension structure belong to the quotation") {
  const auto all_is_data = [](const bytes& extensions) {
    const bytes packet = time_exceeded(16, counting(128, 1), extensions);
    const auto message = parsed<icmp::time_exceeded>(packet);
    return message.extensions.empty() && message.data.size() == 128 + extensions.size();
  };
  CHECK(all_is_data({}));
  CHECK(all_is_data(from_hex("2000 0000")));                     // no object
  CHECK(all_is_data(from_hex("1000 0000 0008 0101 03e8e101")));  // another version
  CHECK(all_is_data(from_hex("2000 1234 0008 0101 03e8e101")));  // a wrong checksum
  CHECK(all_is_data(structure("0003 0101 03e8e101")));           // an object shorter than its header
  CHECK(all_is_data(structure("0007 0101 03e8e101")));           // not whole words
  CHECK(all_is_data(structure("000c 0101 03e8e101")));           // an object that is longer than the packet
  CHECK(all_is_data(structure("ffff 0101 03e8e101")));
  CHECK_FALSE(all_is_data(from_hex("2000 0000 0008 0101 03e8e101")));  // a checksum of 0 means none
}

TEST_CASE("the list of extensions ends before a malformed object") {
  const bytes packet = time_exceeded(16, counting(128, 1), structure("0008 0101 03e8e101 0009 0101 00000000"));
  CHECK(parsed<icmp::time_exceeded>(packet).extensions.size() == 1);
}

TEST_CASE("an error message refuses to identify an interface") {
  const std::array<icmp::extension, 1> ident{icmp::interface_ident{icmp::interface_by_index{1}}};
  CHECK(encode_error(icmp::destination_unreachable{.extensions = ident}) == std::errc::invalid_argument);
  CHECK(encode_error(icmp::time_exceeded{.extensions = ident}) == std::errc::invalid_argument);
}

TEST_CASE("error messages print with their reason") {
  const bytes data(48);
  CHECK(fmt::format("{}",
                    icmp::destination_unreachable{.code = icmp::unreachable_code::port_unreachable, .data = data}) ==
        "destination unreachable (port unreachable) data=48");
  CHECK(fmt::format("{}", icmp::time_exceeded{.data = data, .extensions = one_extension}) ==
        "time exceeded (hop limit exceeded in transit) data=48 [mpls 16014/0S ttl=1]");
  CHECK(fmt::format("{}", icmp::packet_too_big{.mtu = 1280}) == "packet too big mtu=1280 data=0");
  CHECK(fmt::format("{}", icmp::parameter_problem{.code = static_cast<icmp::parameter_problem_code>(99),
                                                  .pointer = 6}) == "parameter problem (99) pointer=6 data=0");
}

TEST_CASE("every code of an error message has words of its own") {
  CHECK(to_string(icmp::unreachable_code::headers_too_long) == "headers too long");
  CHECK(to_string(static_cast<icmp::unreachable_code>(9)).empty());
  CHECK(to_string(icmp::time_exceeded_code::fragment_reassembly) == "fragment reassembly time exceeded");
  CHECK(to_string(static_cast<icmp::time_exceeded_code>(2)).empty());
  CHECK(to_string(icmp::parameter_problem_code::option_too_big) == "option too big");
  CHECK(to_string(static_cast<icmp::parameter_problem_code>(11)).empty());
}
