#include "uring6/icmp/extension.hpp"

#include <fmt/format.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "support/traffic/icmp.hpp"
#include "uring6/icmp/format.hpp"

namespace icmp = uring6::icmp;
using uring6::errc;
using uring6::ip_address;
using uring6::test::bytes;
using uring6::test::encode_error;
using uring6::test::encoded;
using uring6::test::from_hex;
using uring6::test::to_hex;

namespace {

// The object in the packet of a body with this extension: behind 8 bytes of message and 4 of structure, and 128 of
// quotation if there is one.
std::string object_hex(const icmp::extension& object) {
  const std::array<icmp::extension, 1> extensions{object};
  const bytes packet = encoded(icmp::time_exceeded{.extensions = extensions});
  return to_hex(std::span(packet).subspan(8 + 128 + 4));
}

std::error_code error_of(const icmp::extension& object) {
  const std::array<icmp::extension, 1> extensions{object};
  return encode_error(icmp::time_exceeded{.extensions = extensions});
}

std::error_code ident_error_of(const icmp::interface_ident& ident) {
  const std::array<icmp::extension, 1> extensions{ident};
  return encode_error(icmp::extended_echo_request{.extensions = extensions});
}

// The one object in these bytes.
icmp::extension read(const bytes& object) {
  const auto list = icmp::list<icmp::extension>::in_packet(object);
  REQUIRE(list.size() == 1);
  return *list.begin();
}

std::string squeeze(std::string_view hex) {
  return to_hex(from_hex(hex));
}

}  // namespace

TEST_CASE("an MPLS label stack is laid out as in RFC 4950") {
  const std::vector<icmp::mpls_label> labels{{.label = 0xfffff, .traffic_class = 7, .ttl = 255},
                                             {.label = 1, .traffic_class = 2, .bottom_of_stack = true, .ttl = 64}};
  CHECK(object_hex(icmp::mpls_label_stack{labels}) == squeeze("000c 0101 fffffeff 00001540"));
  const bytes object = from_hex("000c 0101 fffffeff 00001540");
  const auto back = std::get<icmp::mpls_label_stack>(read(object));
  CHECK(std::vector<icmp::mpls_label>(back.labels.begin(), back.labels.end()) == labels);
}

TEST_CASE("an MPLS label out of range is an error, not a cut") {
  const auto error = [](icmp::mpls_label label) {
    const std::array<icmp::mpls_label, 1> labels{label};
    return error_of(icmp::mpls_label_stack{labels});
  };
  CHECK(error({.label = 0xfffff}) == std::error_code());
  CHECK(error({.label = 0x100000}) == errc::out_of_range);
  CHECK(error({.traffic_class = 8}) == errc::out_of_range);
}

TEST_CASE("interface information is laid out as in RFC 5837") {
  using icmp::interface_role;
  CHECK(object_hex(icmp::interface_info{.role = interface_role::incoming, .index = 15}) ==
        squeeze("0008 0208 0000000f"));
  CHECK(object_hex(icmp::interface_info{.role = interface_role::outgoing,
                                        .index = 15,
                                        .address = ip_address::parse("fe80::1").value(),
                                        .name = "en101",
                                        .mtu = 8192}) ==
        squeeze("0028 028f 0000000f 0002 0000 fe800000000000000000000000000001 08656e31 30310000 00002000"));
  CHECK(object_hex(icmp::interface_info{.role = interface_role::next_hop,
                                        .address = ip_address::parse("192.0.2.1").value()}) ==
        squeeze("000c 02c4 0001 0000 c0000201"));
  CHECK(object_hex(icmp::interface_info{.role = interface_role::incoming_sub_ip, .name = "lo0"}) ==
        squeeze("0008 0242 046c6f30"));
}

TEST_CASE("interface information reads back") {
  const bytes object =
      from_hex("0028 02cf 0000000f 0002 0000 fe800000000000000000000000000001 08656e31 30310000 00002000");
  const auto info = std::get<icmp::interface_info>(read(object));
  CHECK(info.role == icmp::interface_role::next_hop);
  CHECK(info.index == 15);
  CHECK(info.address == ip_address::parse("fe80::1").value());
  CHECK(info.name == "en101");
  CHECK(info.mtu == 8192);
  const auto none = std::get<icmp::interface_info>(read(from_hex("0004 0200")));
  CHECK((!none.index && !none.address && none.name.empty() && !none.mtu));
}

TEST_CASE("an interface name too long for its field is an error, not a cut") {
  CHECK(error_of(icmp::interface_info{.name = std::string(63, 'x')}) == std::error_code());
  CHECK(error_of(icmp::interface_info{.name = std::string(64, 'x')}) == errc::too_long);
  CHECK(error_of(icmp::interface_info{.name = std::string_view("a\0b", 3)}) == errc::out_of_range);
  CHECK(error_of(icmp::interface_info{.role = static_cast<icmp::interface_role>(4)}) == errc::out_of_range);
  const std::string longest(255, 'x');
  const std::string longer(256, 'x');
  CHECK(ident_error_of({icmp::interface_by_name{longest}}) == std::error_code());
  CHECK(ident_error_of({icmp::interface_by_name{longer}}) == errc::too_long);
  CHECK(ident_error_of({icmp::interface_by_name{""}}) == errc::out_of_range);
  CHECK(ident_error_of({icmp::interface_by_name{std::string_view("a\0", 2)}}) == errc::out_of_range);
  const bytes address(255);
  const bytes long_address(256);
  CHECK(ident_error_of({icmp::interface_by_address{.address = address}}) == std::error_code());
  CHECK(ident_error_of({icmp::interface_by_address{.address = long_address}}) == errc::too_long);
}

TEST_CASE("the longest name of an interface survives") {
  const std::string name(63, 'x');
  const std::array<icmp::extension, 1> extensions{icmp::interface_info{.name = name}};
  const bytes packet = encoded(icmp::time_exceeded{.extensions = extensions});
  const auto back = uring6::test::parsed<icmp::time_exceeded>(packet);
  CHECK(std::get<icmp::interface_info>(*back.extensions.begin()).name == name);
}

TEST_CASE("an object that does not have the form of its class is given raw") {
  for (const auto* hex : {
           "0008 0102 03e8e101",           // MPLS of an unknown C-Type
           "0004 0208",                    // index promised, nothing there
           "0008 0204 00020000",           // address promised, cut off
           "0008 0204 00030000",           // an unknown family
           "0008 0202 00000000",           // a name of length 0
           "0008 0202 05616161",           // a name of half a word
           "0008 0202 44616161",           // a name longer than 64
           "0008 0202 08616161",           // a name that is longer than the object
           "0004 0201",                    // MTU promised, nothing there
           "0004 0301",                    // no name
           "0004 0302",                    // no index
           "000c 0302 00000001 00000002",  // two indexes
           "0008 0303 40050600",           // an address that is longer than the object
           "0008 0304 00000001",           // an unknown C-Type
           "0008 0901 01020304",           // an unknown class
       }) {
    INFO(hex);
    const bytes object = from_hex(hex);
    const auto extension = read(object);
    REQUIRE(std::holds_alternative<icmp::raw_extension>(extension));
    const auto raw = std::get<icmp::raw_extension>(extension);
    CHECK(raw.data.size() == object.size() - 4);
    CHECK(object_hex(raw) == to_hex(object));
  }
}

TEST_CASE("every truncation of an object ends the list before it") {
  const bytes object =
      from_hex("0028 02cf 0000000f 0002 0000 fe800000000000000000000000000001 08656e31 30310000 00002000");
  for (std::size_t size = 0; size < object.size(); ++size) {
    const bytes cut = uring6::test::exact(std::span(object).first(size));
    CHECK(icmp::list<icmp::extension>::in_packet(cut).empty());
  }
}

TEST_CASE("a raw extension is words, as many as its length can count") {
  const bytes odd(3);
  const bytes longest(65528);
  const bytes longer(65532);
  CHECK(error_of(icmp::raw_extension{.data = odd}) == errc::out_of_range);
  // The object fits its own length, but the message no longer fits a packet.
  CHECK(error_of(icmp::raw_extension{.data = longest}) == errc::too_long);
  CHECK(error_of(icmp::raw_extension{.data = longer}) == errc::too_long);
}

TEST_CASE("extensions print in one line") {
  const std::array<icmp::mpls_label, 2> labels{icmp::mpls_label{.label = 16001, .traffic_class = 1, .ttl = 254},
                                               icmp::mpls_label{.label = 3, .bottom_of_stack = true, .ttl = 1}};
  CHECK(fmt::format("{}", icmp::mpls_label_stack{labels}) == "mpls 16001/1 ttl=254 3/0S ttl=1");
  CHECK(fmt::format("{}",
                    icmp::interface_info{
                        .index = 2, .address = ip_address::parse("fe80::1").value(), .name = "eth0", .mtu = 1500}) ==
        "interface incoming ifindex=2 addr=fe80::1 name=eth0 mtu=1500");
  CHECK(fmt::format("{}", icmp::interface_ident{icmp::interface_by_index{7}}) == "interface ifindex=7");
  const bytes mac = from_hex("02005e102030");
  CHECK(fmt::format("{}", icmp::interface_ident{icmp::interface_by_address{.family = 16389, .address = mac}}) ==
        "interface family=16389 addr=02:00:5e:10:20:30");
  CHECK(fmt::format("{}", icmp::raw_extension{.class_number = 9, .type = 1, .data = mac}) == "class 9 type 1 data=6");
}
