#include "uring6/header.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <vector>

#include "support/traffic/bytes.hpp"
#include "uring6/format.hpp"

using uring6::errc;
using uring6::extension_header;
using uring6::find_upper_layer;
using uring6::header_walk;
using uring6::ip_address;
using uring6::ip_protocol;
using uring6::ipv6_header;
using uring6::test::bytes;
using uring6::test::from_hex;
using uring6::test::join;

namespace {

// RFC 8200, section 3: every field with its own value.
const bytes known = from_hex(
    "6bab cdef 0123 3a40"
    "20010db8000000000000000000000001"
    "ff020000000000000000000000000114");

const ipv6_header known_fields{.traffic_class = 0xba,
                               .flow_label = 0xbcdef,
                               .payload_length = 0x0123,
                               .next_header = ip_protocol::icmpv6,
                               .hop_limit = 64,
                               .source = ip_address::parse("2001:db8::1").value(),
                               .destination = ip_address::parse("ff02::114").value()};

// An IPv6 header before `rest`.
bytes packet(ip_protocol next, std::span<const std::byte> rest, std::optional<std::uint16_t> length = {}) {
  ipv6_header fixed;
  fixed.next_header = next;
  fixed.payload_length = length.value_or(static_cast<std::uint16_t>(rest.size()));
  bytes front(ipv6_header::size);
  REQUIRE(fixed.encode(front) == ipv6_header::size);
  return join({front, rest});
}

bytes packet(ip_protocol next, std::string_view rest) {
  return packet(next, from_hex(rest));
}

std::vector<extension_header> walk_all(header_walk& walk) {
  std::vector<extension_header> found;
  while (const auto next = uring6::or_throw(walk.next())) found.push_back(*next);
  return found;
}

}  // namespace

TEST_CASE("header reads and writes each field where RFC 8200 has it") {
  CHECK(ipv6_header::parse(known) == known_fields);
  bytes area(ipv6_header::size);
  CHECK(known_fields.encode(area) == ipv6_header::size);
  CHECK(area == known);
}

TEST_CASE("header ignores the octets behind it") {
  const bytes longer = join({known, from_hex("ff")});
  CHECK(ipv6_header::parse(longer) == known_fields);
}

TEST_CASE("header refuses each truncation") {
  for (std::size_t size = 0; size < ipv6_header::size; ++size) {
    const bytes cut = uring6::test::exact(std::span(known).first(size));
    CHECK(ipv6_header::parse(cut).error() == errc::malformed);
    bytes area(size);
    CHECK(known_fields.encode(area).error() == std::errc::no_buffer_space);
  }
}

TEST_CASE("header refuses every version but 6, in both directions") {
  for (unsigned version = 0; version < 16; ++version) {
    if (version == 6) continue;
    bytes other = known;
    other[0] = static_cast<std::byte>(version << 4);
    CHECK(ipv6_header::parse(other).error() == errc::malformed);
    ipv6_header fields = known_fields;
    fields.version = static_cast<std::uint8_t>(version);
    CHECK(fields.encode(other).error() == errc::out_of_range);
  }
}

TEST_CASE("header refuses a flow label of more than 20 bits instead of cutting it") {
  ipv6_header fields = known_fields;
  bytes area(ipv6_header::size);
  fields.flow_label = 0xfffff;
  CHECK(fields.encode(area) == ipv6_header::size);
  CHECK(ipv6_header::parse(area) == fields);
  fields.flow_label = 0x100000;
  CHECK(fields.encode(area).error() == errc::out_of_range);
}

TEST_CASE("header prints as Go's Header does") {
  CHECK(fmt::format("{}", known_fields) ==
        "ver=6 tclass=0xba flowlbl=0xbcdef payloadlen=291 nxthdr=58 hoplim=64 src=2001:db8::1 dst=ff02::114");
}

TEST_CASE("ip_protocol has the names of /etc/protocols") {
  CHECK(to_string(ip_protocol::icmpv6) == "ipv6-icmp");
  CHECK(to_string(ip_protocol::udp) == "udp");
  CHECK(to_string(static_cast<ip_protocol>(200)).empty());
  CHECK(fmt::format("{} {:>4}", ip_protocol::udp, static_cast<ip_protocol>(200)) == "udp  200");
}

TEST_CASE("the walk ends at once without an extension header") {
  const bytes udp = packet(ip_protocol::udp, "0102030405060708");
  const auto found = uring6::or_throw(find_upper_layer(udp));
  CHECK(found.protocol == ip_protocol::udp);
  CHECK(found.offset == 40);
  CHECK(found.payload.size() == 8);
  CHECK_FALSE(found.fragment);
}

TEST_CASE("the walk passes every kind of extension header by its own length rule") {
  const bytes all = packet(ip_protocol::hop_by_hop,
                           "3c00 0502 0000 0100"                      // hop-by-hop: router alert
                           "2b01 0104 0000 0000 0000 0000 0000 0000"  // destination options: 16 bytes
                           "2c02 0400 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000"  // routing: 24 bytes
                           "33ff 0000 1234 5678"  // fragment: its second byte is no length
                           "8704 0000 0000 0001 0000 0002 0000 0000 0000 0000 0000 0000"  // AH: (4 + 2) * 4
                           "8b00 0000 0000 0000"                                          // mobility
                           "8c00 0000 0000 0000"                                          // HIP
                           "3a00 0000 0000 0000"                                          // Shim6
                           "8000 0000 0001 0002");                                        // ICMPv6
  auto walk = uring6::or_throw(header_walk::over(all));
  const auto found = walk_all(walk);
  const std::array types{ip_protocol::hop_by_hop, ip_protocol::destination_options,
                         ip_protocol::routing,    ip_protocol::fragment,
                         ip_protocol::ah,         ip_protocol::mobility,
                         ip_protocol::hip,        ip_protocol::shim6};
  const std::array<std::size_t, 8> sizes{8, 16, 24, 8, 24, 8, 8, 8};
  REQUIRE(found.size() == types.size());
  std::size_t offset = 40;
  for (std::size_t i = 0; i < found.size(); ++i) {
    CHECK(found[i].type == types[i]);
    CHECK(found[i].offset == offset);
    CHECK(found[i].bytes.size() == sizes[i]);
    CHECK(found[i].bytes.data() == all.data() + offset);
    CHECK(found[i].next_header == (i + 1 < types.size() ? types[i + 1] : ip_protocol::icmpv6));
    offset += sizes[i];
  }
  CHECK(walk.protocol() == ip_protocol::icmpv6);
  CHECK(walk.offset() == offset);
  CHECK(walk.payload().size() == 8);
  CHECK(walk.fragment() == uring6::fragment_header{0, false, 0x12345678});
}

TEST_CASE("the walk stops at a header with unknown contents") {
  for (const auto end :
       {ip_protocol::esp, ip_protocol::no_next_header, ip_protocol::experiment_1, static_cast<ip_protocol>(200)}) {
    bytes options = from_hex("0000 0104 0000 0000 ffff ffff ffff ffff");
    options[0] = static_cast<std::byte>(end);
    const auto whole = packet(ip_protocol::destination_options, options);
    const auto found = uring6::or_throw(find_upper_layer(whole));
    CHECK(found.protocol == end);
    CHECK(found.offset == 48);
  }
}

TEST_CASE("the walk takes no octets of a later fragment as a header") {
  // Offset 8 * 0x1fff, more fragments; the octets behind it look like a routing header.
  const bytes later = packet(ip_protocol::fragment, "2b00 fff9 0000 0007 3a00 0000 0000 0000");
  const auto found = uring6::or_throw(find_upper_layer(later));
  CHECK(found.protocol == ip_protocol::routing);
  CHECK(found.offset == 48);
  CHECK(found.fragment == uring6::fragment_header{0xfff8, true, 7});

  const bytes first = packet(ip_protocol::fragment, "2b00 0001 0000 0007 3a00 0000 0000 0000");
  CHECK(uring6::or_throw(find_upper_layer(first)).protocol == ip_protocol::icmpv6);
}

TEST_CASE("the walk refuses an extension header that is cut off, at every byte") {
  const bytes whole = packet(ip_protocol::hop_by_hop, "3c00 0104 0000 0000 3a01 0104 0000 0000 0000 0000 0000 0000");
  REQUIRE(find_upper_layer(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const bytes cut = uring6::test::exact(std::span(whole).first(size));
    CHECK(find_upper_layer(cut).error() == errc::malformed);
  }
}

TEST_CASE("the walk refuses a length beyond the end of the packet") {
  for (const auto type : {ip_protocol::hop_by_hop, ip_protocol::routing, ip_protocol::ah,
                          ip_protocol::destination_options, ip_protocol::mobility}) {
    const bytes hostile = packet(type, "3aff 0000 0000 0000 0000 0000 0000 0000");
    CHECK(find_upper_layer(hostile).error() == errc::malformed);
  }
}

TEST_CASE("the walk refuses hop-by-hop options behind another header") {
  const bytes second = packet(ip_protocol::hop_by_hop, "0000 0104 0000 0000 3a00 0104 0000 0000");
  auto walk = uring6::or_throw(header_walk::over(second));
  REQUIRE(walk.next());
  CHECK(walk.next().error() == errc::malformed);
  CHECK(walk.next().error() == errc::malformed);
  CHECK(walk.offset() == 48);
}

TEST_CASE("the walk ends at the payload length of the header") {
  const bytes padded = packet(ip_protocol::udp, from_hex("0102030405060708 00000000"), std::uint16_t{8});
  CHECK(uring6::or_throw(find_upper_layer(padded)).payload.size() == 8);
  // The quotation in an ICMP error is shorter than the length in its header.
  const bytes quoted = packet(ip_protocol::udp, from_hex("0102030405060708"), std::uint16_t{1200});
  CHECK(uring6::or_throw(find_upper_layer(quoted)).payload.size() == 8);
  const bytes outside =
      packet(ip_protocol::destination_options, from_hex("3a01 0104 0000 0000 0000 0000 0000 0000"), std::uint16_t{8});
  CHECK(find_upper_layer(outside).error() == errc::malformed);
}

TEST_CASE("the walk passes a jumbogram, whose header has a length of 0") {
  const bytes jumbo =
      packet(ip_protocol::hop_by_hop, from_hex("1100 c204 0001 1170 0102030405060708"), std::uint16_t{0});
  CHECK(uring6::or_throw(find_upper_layer(jumbo)).payload.size() == 8);
}

TEST_CASE("the walk through the longest chain ends") {
  bytes chain;
  const bytes link = from_hex("3c00 0104 0000 0000");
  for (int i = 0; i < 65528 / 8; ++i) chain.insert(chain.end(), link.begin(), link.end());
  const bytes endless = packet(ip_protocol::destination_options, chain);
  // The last header announces another one.
  CHECK(find_upper_layer(endless).error() == errc::malformed);
}
