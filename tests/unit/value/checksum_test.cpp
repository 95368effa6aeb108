#include "uring6/checksum.hpp"

#include <catch2/catch_test_macros.hpp>

#include "support/traffic/bytes.hpp"

using uring6::internet_checksum;
using uring6::ip_address;
using uring6::ip_protocol;
using uring6::upper_layer_checksum;
using uring6::test::bytes;
using uring6::test::from_hex;

TEST_CASE("internet_checksum adds as RFC 1071 does in its example") {
  // Section 3: the words 0001 f203 f4f5 f6f7 add up to ddf2.
  CHECK(internet_checksum(from_hex("0001 f203 f4f5 f6f7")) == 0x220d);
}

TEST_CASE("internet_checksum fills an odd last byte up with zero") {
  CHECK(internet_checksum(from_hex("0001 f203 f4f5 f6")) == internet_checksum(from_hex("0001 f203 f4f5 f600")));
  CHECK(internet_checksum(from_hex("ab")) == 0x54ff);
  CHECK(internet_checksum({}) == 0xffff);
}

TEST_CASE("internet_checksum folds every carry back") {
  const bytes ones(65535, std::byte{0xff});
  // 32767 words of ffff and one of ff00: ffff counts as zero in this arithmetic.
  CHECK(internet_checksum(ones) == 0x00ff);
  CHECK(internet_checksum(from_hex("ffff 0001")) == 0xfffe);
}

TEST_CASE("upper_layer_checksum covers the pseudo header of RFC 8200") {
  const auto source = ip_address::parse("2001:db8::1").value();
  const auto destination = ip_address::parse("ff02::1").value();
  // Words added by hand: 2001+0db8+0001 + ff02+0001 + 0008 (length) + 003a (next header) + 8000+1234+0001 = c0359; with
  // the carry 0365; the checksum is its complement.
  const bytes echo = from_hex("8000 0000 1234 0001");
  const std::uint32_t sum = 0x2001 + 0x0db8 + 0x0001 + 0xff02 + 0x0001 + 0x0008 + 0x003a + 0x8000 + 0x1234 + 0x0001;
  const auto folded = static_cast<std::uint16_t>(~((sum & 0xffff) + (sum >> 16)));
  CHECK(upper_layer_checksum(echo, source, destination, ip_protocol::icmpv6) == folded);
  CHECK(upper_layer_checksum(echo, source, destination, ip_protocol::udp) != folded);
  CHECK(upper_layer_checksum(echo, source, source, ip_protocol::icmpv6) != folded);

  bytes complete = echo;
  complete[2] = static_cast<std::byte>(folded >> 8);
  complete[3] = static_cast<std::byte>(folded & 0xff);
  CHECK(upper_layer_checksum(complete, source, destination, ip_protocol::icmpv6) == 0);
}

TEST_CASE("upper_layer_checksum takes no notice of a zone") {
  const auto plain = ip_address::parse("fe80::1").value();
  CHECK(upper_layer_checksum({}, plain, plain, ip_protocol::ospf) ==
        upper_layer_checksum({}, plain.with_zone(7), plain.with_zone(9), ip_protocol::ospf));
}
