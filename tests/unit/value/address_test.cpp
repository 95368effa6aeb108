#include "uring6/address.hpp"

#include <arpa/inet.h>
#include <net/if.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>
#include <type_traits>
#include <unordered_set>

#include "ipv6/address/address_text.hpp"

namespace uring6 {
namespace {

static_assert(std::is_trivially_copyable_v<ip_address> && sizeof(ip_address) == 20);
static_assert(std::is_trivially_copyable_v<endpoint> && std::is_aggregate_v<endpoint>);

ip_address address(std::string_view text) {
  const result<ip_address> parsed = ip_address::parse(text);
  INFO(text);
  REQUIRE(parsed);
  return *parsed;
}

// A system with two interfaces, one of them with a number for a name.
result<std::uint32_t> find_zone(std::string_view name) {
  if (name == "eth0") return 2;
  if (name == "7") return 70;
  return fail(errc::unknown_zone);
}

std::string_view find_name(std::uint32_t index, std::span<char, zone_name_size> buffer) {
  if (index != 2) return {};
  return {buffer.data(), std::string_view("eth0").copy(buffer.data(), buffer.size())};
}

struct text_case {
  std::string_view text;
  std::string_view canonical;
};

TEST_CASE("writes_addresses_as_rfc_5952_says") {
  const auto [text, canonical] = GENERATE(values<text_case>({
      {"::", "::"},
      {"0:0:0:0:0:0:0:0", "::"},
      {"::1", "::1"},
      {"1::", "1::"},
      // 4.1: no leading zeros
      {"2001:0db8::0001", "2001:db8::1"},
      // 4.2.1: shorten as much as possible
      {"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},
      {"2001:db8::0:1", "2001:db8::1"},
      // 4.2.2: not for one group alone
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
      {"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
      {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
      // 4.2.3: the longest run, the first of equals
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
      {"1:0:0:2:0:0:0:0", "1:0:0:2::"},
      {"0:0:1:0:0:0:0:1", "0:0:1::1"},
      // 4.3: lower case
      {"2001:DB8::AbCd", "2001:db8::abcd"},
      {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
      // 5: the mixed form for v4-mapped, and only for them
      {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
      {"::ffff:c000:201", "::ffff:192.0.2.1"},
      {"0:0:0:0:0:FFFF:255.255.255.255", "::ffff:255.255.255.255"},
      {"192.0.2.1", "::ffff:192.0.2.1"},
      {"0.0.0.0", "::ffff:0.0.0.0"},
      {"64:ff9b::192.0.2.1", "64:ff9b::c000:201"},
      {"::192.0.2.1", "::c000:201"},
      {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
      {"::ffff:0:1.2.3.4", "::ffff:0:102:304"},
      // zones
      {"fe80::1%eth0", "fe80::1%eth0"},
      {"fe80::1%2", "fe80::1%eth0"},
      {"fe80::1%3", "fe80::1%3"},
      {"fe80::1%4294967295", "fe80::1%4294967295"},
      {"fe80::1%7", "fe80::1%70"},
      {"fe80::1%0", "fe80::1"},
      {"ff02::114%eth0", "ff02::114%eth0"},
  }));
  CAPTURE(text);
  const result<ip_address> parsed = parse_address(text, find_zone);
  REQUIRE(parsed);
  CHECK(format_address(*parsed, find_name).view() == canonical);
}

TEST_CASE("what_it_writes_it_reads_back") {
  const std::string_view text =
      GENERATE("::", "2001:db8::1", "::ffff:192.0.2.1", "fe80::1%eth0", "fe80::1%3", "1:0:0:2::", "::1:0:0:0:0:0");
  CAPTURE(text);
  const ip_address first = parse_address(text, find_zone).value();
  CHECK(parse_address(format_address(first, find_name).view(), find_zone) == first);
  const endpoint end{first, 65535};
  CHECK(parse_endpoint(format_endpoint(end, find_name).view(), find_zone) == end);
}

TEST_CASE("agrees_with_inet_pton_on_every_address_of_few_groups") {
  // Each group is 0, 1 or abcd: all positions of runs of zeros.
  const char* const forms[] = {"0", "1", "abcd"};
  for (int number = 0; number < 6561; ++number) {
    std::string text;
    for (int group = 0, rest = number; group < 8; ++group, rest /= 3) {
      if (group != 0) text += ':';
      text += forms[rest % 3];
    }
    in6_addr expected{};
    if (inet_pton(AF_INET6, text.c_str(), &expected) != 1) FAIL("inet_pton refuses " << text);
    const result<ip_address> parsed = ip_address::parse(text);
    if (!parsed || std::bit_cast<in6_addr>(parsed->bytes()).s6_addr32[3] != expected.s6_addr32[3] ||
        parsed->bytes() != std::bit_cast<ip_address::bytes_type>(expected)) {
      FAIL("read wrongly: " << text);
    }
    char canonical[INET6_ADDRSTRLEN];
    inet_ntop(AF_INET6, &expected, canonical, sizeof canonical);
    // inet_ntop writes the deprecated v4-compatible form in dotted quads; RFC 5952 does not.
    if (std::string_view(canonical).find('.') == std::string_view::npos && parsed->to_string() != canonical) {
      FAIL(parsed->to_string() << " should be " << canonical);
    }
  }
  SUCCEED();
}

TEST_CASE("refuses_text_that_is_no_address") {
  const std::string_view text = GENERATE(values<std::string_view>(
      {"", ":", ":::", "1", "1:2", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8",
       "1::2::3", ":1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:", "12345::", "g::", "-1::", "+1::", "0x1::", " ::1", "::1 ",
       "1 ::", "::1\n", "[::1]", "::1/64", "localhost",
       // dotted quads
       "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.00", "1..2.3", ".1.2.3", "1.2.3.", "1.2.3.-4",
       "0x7f.0.0.1", "127.1", "2130706433", "1.2.3.4 ", "::1.2.3", "::1.2.3.4:5", "1.2.3.4::", "1:2:3:4:5:6:7:1.2.3.4",
       "1:2:3:4:5:1.2.3.4", "::ffff:1.2.3.04",
       // zones
       "fe80::1%", "%eth0", "fe80::1%%eth0", "fe80::1%eth0/64", "fe80::1%eth0%eth0", "fe80::1%eth 0", "1.2.3.4%eth0",
       "::ffff:1.2.3.4%eth0", "fe80::1%eth0:1",
       // embedded NUL
       std::string_view("::1\0", 4), std::string_view("\0::1", 4), std::string_view("fe80::1%eth0\0", 13),
       std::string_view("1.2.3.4\0", 8)}));
  CAPTURE(text);
  CHECK(parse_address(text, find_zone) == fail(errc::not_an_address));
}

TEST_CASE("an_unknown_zone_is_its_own_error") {
  const std::string_view text =
      GENERATE("fe80::1%no-such-if", "fe80::1%eth00", "fe80::1%4294967296", "fe80::1%99999999999999999999",
               "fe80::1%-1", "fe80::1%2x", "fe80::1%a-name-far-longer-than-any-interface-has");
  CAPTURE(text);
  CHECK(parse_address(text, find_zone) == fail(errc::unknown_zone));
  CHECK(ip_address::parse(text) == fail(errc::unknown_zone));
  CHECK(ip_address::parse(text).error() == std::errc::no_such_device);
}

TEST_CASE("a_zone_is_the_name_of_an_interface_of_this_system") {
  const unsigned loopback = if_nametoindex("lo");
  REQUIRE(loopback != 0);
  CHECK(address("fe80::1%lo") == address("fe80::1").with_zone(loopback));
  CHECK(address("fe80::1%" + std::to_string(loopback)) == address("fe80::1%lo"));
  CHECK(address("fe80::1%lo").to_string() == "fe80::1%lo");
  CHECK(address("fe80::1").with_zone(4000000000).to_string() == "fe80::1%4000000000");
}

enum predicate : unsigned {
  unspecified = 1,
  loopback = 2,
  multicast = 4,
  link_local = 8,
  unique_local = 16,
  mapped = 32,
  source_specific = 64,
  interface_group = 128,
  link_group = 256,
  global_group = 512,
  global_unicast = 1024,
  unicast = 2048,
};

unsigned predicates_of(const ip_address& a) {
  return (a.is_unspecified() ? unspecified : 0U) | (a.is_loopback() ? loopback : 0U) |
         (a.is_multicast() ? multicast : 0U) | (a.is_link_local() ? link_local : 0U) |
         (a.is_unique_local() ? unique_local : 0U) | (a.is_v4_mapped() ? mapped : 0U) |
         (a.is_source_specific() ? source_specific : 0U) | (a.is_interface_local_multicast() ? interface_group : 0U) |
         (a.is_link_local_multicast() ? link_group : 0U) | (a.is_global_multicast() ? global_group : 0U) |
         (a.is_global_unicast() ? global_unicast : 0U) | (a.is_unicast() ? unicast : 0U);
}

struct predicate_case {
  std::string_view text;
  unsigned expected;
};

TEST_CASE("predicates_tell_every_kind_of_address") {
  const auto [text, expected] = GENERATE(values<predicate_case>({
      {"::", unspecified},
      {"::1", loopback | unicast},
      {"::2", global_unicast | unicast},
      {"2001:db8::1", global_unicast | unicast},
      {"fe7f:ffff::1", global_unicast | unicast},
      {"fe80::1", link_local | unicast},
      {"febf:ffff::1", link_local | unicast},
      {"fec0::1", global_unicast | unicast},
      {"fbff::1", global_unicast | unicast},
      {"fc00::1", unique_local | global_unicast | unicast},
      {"fdff::1", unique_local | global_unicast | unicast},
      {"feff::1", global_unicast | unicast},
      {"ff01::114", multicast | interface_group},
      {"ff11::114", multicast | interface_group},
      {"ff02::1", multicast | link_group},
      {"ff05::2", multicast},
      {"ff0e::1", multicast | global_group},
      {"ff3e::1", multicast | global_group | source_specific},
      {"ff32::8000:1", multicast | link_group | source_specific},
      {"ff3e:40:2001:db8::1", multicast | global_group},
      {"ff3e:0:2001:db8::1", multicast | global_group | source_specific},
      {"ff2e::1", multicast | global_group},
      {"0.0.0.0", unspecified | mapped},
      {"127.0.0.1", loopback | mapped | unicast},
      {"127.255.0.1", loopback | mapped | unicast},
      {"169.254.1.1", link_local | mapped | unicast},
      {"192.0.2.1", mapped | global_unicast | unicast},
      {"223.255.255.255", mapped | global_unicast | unicast},
      {"224.0.0.1", mapped | multicast | link_group},
      {"224.0.1.1", mapped | multicast},
      {"232.0.0.1", mapped | multicast | source_specific},
      {"239.255.255.255", mapped | multicast},
      {"240.0.0.1", mapped | global_unicast | unicast},
      {"255.255.255.255", mapped},
      {"::fffe:127.0.0.1", global_unicast | unicast},
      {"1::ffff:127.0.0.1", global_unicast | unicast},
      // One word away from a special address.
      {"0:0:0:1:0:ffff:127.0.0.1", global_unicast | unicast},
      {"0:0:1:0:0:ffff:255.255.255.255", global_unicast | unicast},
      {"::fffe:255.255.255.255", global_unicast | unicast},
      {"::ffff:ffff", global_unicast | unicast},
      {"2001::", global_unicast | unicast},
      {"0:0:1::", global_unicast | unicast},
      {"::1:0:0", global_unicast | unicast},
      {"::fffe:0.0.0.0", global_unicast | unicast},
      {"1::1", global_unicast | unicast},
      {"0:0:0:1::1", global_unicast | unicast},
      {"::1:0:1", global_unicast | unicast},
  }));
  CAPTURE(text);
  CHECK(predicates_of(address(text)) == expected);
}

TEST_CASE("a_group_has_a_scope") {
  CHECK(address("ff01::1").scope() == multicast_scope::interface_local);
  CHECK(address("ff12::1").scope() == multicast_scope::link_local);
  CHECK(address("ff05::1").scope() == multicast_scope::site_local);
  CHECK(address("ff08::1").scope() == multicast_scope::organization_local);
  CHECK(address("ff3e::1").scope() == multicast_scope::global);
  CHECK(address("ff0b::1").scope() == static_cast<multicast_scope>(11));
  CHECK(address("2001:db8::1").scope() == std::nullopt);
  CHECK(address("224.0.0.1").scope() == std::nullopt);
}

TEST_CASE("known_addresses_are_what_they_are_called") {
  STATIC_CHECK(ip_address() == ip_address::any());
  CHECK(ip_address::any().to_string() == "::");
  CHECK(ip_address::loopback().to_string() == "::1");
  CHECK(ip_address::all_nodes().to_string() == "ff02::1");
  CHECK(ip_address::all_routers().to_string() == "ff02::2");
  CHECK(ip_address::v4_mapped({192, 0, 2, 1}).to_string() == "::ffff:192.0.2.1");
}

TEST_CASE("the_solicited_node_group_holds_the_last_three_bytes") {
  // The example of RFC 4291, 2.7.1.
  CHECK(address("4037::1:800:200e:8c6c").solicited_node() == address("ff02::1:ff0e:8c6c"));
  CHECK(address("fe80::1").with_zone(3).solicited_node() == address("ff02::1:ff00:1").with_zone(3));
}

TEST_CASE("a_v4_mapped_address_gives_its_v4_address_back") {
  CHECK(address("192.0.2.1").to_v4() == ip_address::v4_bytes_type{192, 0, 2, 1});
  CHECK(address("::1").to_v4() == std::nullopt);
}

TEST_CASE("addresses_are_ordered_by_bytes_and_then_by_zone") {
  CHECK(address("::1") < address("::2"));
  CHECK(address("1::") > address("::ffff"));
  CHECK(address("fe80::1").with_zone(1) < address("fe80::1").with_zone(2));
  CHECK(address("fe80::1").with_zone(9) < address("fe80::2").with_zone(1));
  CHECK(address("fe80::1").with_zone(1) != address("fe80::1"));
  CHECK(address("fe80::1").with_zone(1).with_zone(0) == address("fe80::1"));
}

TEST_CASE("hashes_tell_neighbours_apart") {
  std::unordered_set<std::size_t> seen;
  std::unordered_set<endpoint> ends;
  for (std::uint32_t zone = 0; zone < 4; ++zone) {
    for (std::uint8_t last = 0; last < 100; ++last) {
      const ip_address near({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last}, zone);
      seen.insert(std::hash<ip_address>{}(near));
      for (std::uint16_t port = 0; port < 10; ++port) ends.insert({near, port});
    }
  }
  CHECK(seen.size() == 400);
  CHECK(ends.size() == 4000);
  CHECK(ends.contains({address("2001:db8::7").with_zone(2), 9}));
  CHECK_FALSE(ends.contains({address("2001:db8::7").with_zone(2), 10}));
}

struct endpoint_case {
  std::string_view text;
  std::string_view canonical;
};

TEST_CASE("reads_and_writes_endpoints") {
  const auto [text, canonical] = GENERATE(values<endpoint_case>({
      {"[::1]:53", "[::1]:53"},
      {"[2001:DB8:0::1]:65535", "[2001:db8::1]:65535"},
      {"[::]:0", "[::]:0"},
      {":53", "[::]:53"},
      {"192.0.2.1:53", "[::ffff:192.0.2.1]:53"},
      {"[::ffff:192.0.2.1]:53", "[::ffff:192.0.2.1]:53"},
      {"[fe80::1%eth0]:53", "[fe80::1%eth0]:53"},
      {"[fe80::1%2]:53", "[fe80::1%eth0]:53"},
      {"[::1]:00053", "[::1]:53"},
      {"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535",
       "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535"},
  }));
  CAPTURE(text);
  const result<endpoint> parsed = parse_endpoint(text, find_zone);
  REQUIRE(parsed);
  CHECK(format_endpoint(*parsed, find_name).view() == canonical);
}

struct refused_endpoint {
  std::string_view text;
  errc expected;
};

TEST_CASE("says_why_text_is_no_endpoint") {
  const auto [text, expected] = GENERATE(values<refused_endpoint>({
      {"", errc::missing_port},
      {"::1", errc::missing_port},
      {"[::1]", errc::missing_port},
      {"[::1]:", errc::missing_port},
      {"192.0.2.1", errc::missing_port},
      {"192.0.2.1:", errc::missing_port},
      {"fe80::1%lo", errc::missing_port},
      {":", errc::missing_port},
      {"[::1]:65536", errc::out_of_range},
      {"[::1]:99999999999999999999999", errc::out_of_range},
      {":65536", errc::out_of_range},
      {"::1:53:", errc::not_an_address},
      {"[::1]53", errc::not_an_address},
      {"[::1:53", errc::not_an_address},
      {"::1]:53", errc::not_an_address},
      {"[[::1]]:53", errc::not_an_address},
      {"[]:53", errc::not_an_address},
      {"[192.0.2.1]:53", errc::not_an_address},
      {"192.0.2.1:53:53", errc::not_an_address},
      {"localhost:53", errc::not_an_address},
      {"localhost", errc::not_an_address},
      {"[::1]:http", errc::not_an_address},
      {"[::1]:+53", errc::not_an_address},
      {"[::1]:-1", errc::not_an_address},
      {"[::1]: 53", errc::not_an_address},
      {"[::1]:53 ", errc::not_an_address},
      {"[fe80::1%]:53", errc::not_an_address},
      {"[fe80::1%lo/64]:53", errc::not_an_address},
      {std::string_view("[::1]:53\0", 9), errc::not_an_address},
      {"[fe80::1%no-such-if]:53", errc::unknown_zone},
  }));
  CAPTURE(text);
  CHECK(endpoint::parse(text) == fail(expected));
}

TEST_CASE("an_endpoint_survives_the_kernels_form") {
  const endpoint end{address("fe80::1234").with_zone(3), 0x1234};
  const sockaddr_in6 raw = end.to_sockaddr();
  CHECK(raw.sin6_family == AF_INET6);
  CHECK(raw.sin6_port == htons(0x1234));
  CHECK(raw.sin6_scope_id == 3);
  CHECK(raw.sin6_flowinfo == 0);
  CHECK(std::bit_cast<ip_address::bytes_type>(raw.sin6_addr) == end.address.bytes());
  CHECK(endpoint::from_sockaddr(raw) == end);
}

TEST_CASE("endpoints_are_ordered_by_address_and_then_by_port") {
  CHECK(endpoint{address("::1"), 9} < endpoint{address("::2"), 1});
  CHECK(endpoint{address("::1"), 1} < endpoint{address("::1"), 9});
  CHECK(endpoint{address("::1"), 1} != endpoint{address("::1"), 2});
}

}  // namespace
}  // namespace uring6
