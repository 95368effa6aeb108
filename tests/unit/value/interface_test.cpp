#include "uring6/interface.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <climits>
#include <string>

#include "support/machine/environment.hpp"
#include "sys/multicast/proc_groups.hpp"
#include "uring6/format.hpp"

namespace {

using namespace uring6;
using namespace std::string_view_literals;

// In the kernel's format: /proc/net/igmp6 ("%-4d %-15s %pi6 %5d %08X %ld") and /proc/net/mcfilter6.
constexpr auto igmp6 =
    "1    lo              ff020000000000000000000000000001     1 0000000C 0\n"
    "12   eth0            ff05000000000000000000000000abcd    37 00000004 0\n"
    "12   eth0            ff3e0000000000000000000000001234     2 00000004 0\n"sv;
constexpr auto mcfilter6 =
    "Idx Device                Multicast Address                   Source Address    INC    EXC\n"
    " 12   eth0 ff3e0000000000000000000000001234 20010db8000000000000000000000001      2      0\n"
    " 12   eth0 ff3e0000000000000000000000001234 fe800000000000000000000000000002      1      3\n"
    " 12   eth0 ff3e0000000000000000000000009999 20010db8000000000000000000000001      1      0\n"sv;

TEST_CASE("the loopback interface is found by name, by index and in the list") {
  const interface by_name = or_throw(interface::by_name("lo"));
  CHECK(by_name.name == "lo");
  CHECK(by_name.index >= 1);
  CHECK(by_name.is(interface_flags::loopback));
  CHECK_FALSE(by_name.is(interface_flags::broadcast | interface_flags::loopback));
  CHECK(by_name.hardware_address.empty());
  CHECK(interface::by_index(by_name.index) == by_name);

  const std::vector<interface> all = or_throw(interface::all());
  CHECK(std::count(all.begin(), all.end(), by_name) == 1);
}

TEST_CASE("an interface that does not exist is an unknown zone") {
  CHECK(interface::by_name("").error() == errc::unknown_zone);
  CHECK(interface::by_name("no-such-device").error() == errc::unknown_zone);
  CHECK(interface::by_name("lo\0"sv).error() == errc::unknown_zone);
  CHECK(interface::by_name("lo ").error() == errc::unknown_zone);
  CHECK(interface::by_name(std::string(16, 'x')).error() == errc::unknown_zone);
  CHECK(interface::by_name(std::string(127, 'x')).error() == errc::unknown_zone);
  CHECK(interface::by_name(std::string(100'000, 'x')).error() == errc::unknown_zone);
  CHECK(interface::by_index(0).error() == errc::unknown_zone);
  CHECK(interface::by_index(INT_MAX).error() == errc::unknown_zone);
  CHECK(interface::by_index(0xffffffff).error() == errc::unknown_zone);

  const interface gone { .index = INT_MAX, .name = "gone" };
  CHECK(gone.addresses().error() == errc::unknown_zone);
  if (test::has_ipv6()) CHECK(gone.groups().error() == errc::unknown_zone);  // the kernel's table exists
}

TEST_CASE("the table of groups is read with its users") {
  const std::vector<group_membership> groups = or_throw(parse_igmp6(igmp6));
  REQUIRE(groups.size() == 3);
  CHECK(groups[0].interface_index == 1);
  CHECK(groups[0].group == ip_address::all_nodes().with_zone(1));
  CHECK(groups[0].users == 1);
  CHECK(groups[1].interface_index == 12);
  CHECK(groups[1].group == or_throw(ip_address::parse("ff05::abcd")));  // Site-local: no zone.
  CHECK(groups[1].users == 37);
}

TEST_CASE("the sources are added to their group") {
  std::vector<group_membership> groups = or_throw(parse_igmp6(igmp6));
  REQUIRE(add_sources(groups, mcfilter6));
  CHECK(groups[0].sources.empty());
  CHECK(groups[1].sources.empty());
  const ip_address global = or_throw(ip_address::parse("2001:db8::1"));
  const ip_address link_local = or_throw(ip_address::parse("fe80::2")).with_zone(12);
  CHECK(groups[2].sources == std::vector{group_source{global, 2, 0}, group_source{link_local, 1, 3}});
}

TEST_CASE("tables without entries are no memberships") {
  std::vector<group_membership> none = or_throw(parse_igmp6(""));
  CHECK(none.empty());
  CHECK(add_sources(none, ""));
  CHECK(add_sources(none, "Idx Device"));
}

TEST_CASE("a line that is cut anywhere is malformed") {
  const std::string_view line = igmp6.substr(0, igmp6.find("     1 0000000C"));
  for (std::size_t length = 1; length < line.size(); ++length) {
    INFO(line.substr(0, length));
    CHECK(parse_igmp6(line.substr(0, length)).error() == errc::malformed);
  }
  const std::size_t start = mcfilter6.find('\n') + 1;
  const std::size_t last_field = mcfilter6.find("      0\n");
  for (std::size_t length = start + 1; length < last_field; ++length) {
    std::vector<group_membership> groups = or_throw(parse_igmp6(igmp6));
    INFO(mcfilter6.substr(start, length - start));
    CHECK(add_sources(groups, mcfilter6.substr(0, length)).error() == errc::malformed);
  }
  CHECK(parse_igmp6("0 lo ff020000000000000000000000000001 1 0 0").error() == errc::malformed);
  CHECK(parse_igmp6("1 lo fg020000000000000000000000000001 1 0 0").error() == errc::malformed);
  CHECK(parse_igmp6("1 lo ff020000000000000000000000000001 -1 0 0").error() == errc::malformed);
  CHECK(parse_igmp6("\n").error() == errc::malformed);
}

TEST_CASE("interfaces, addresses and their flags have a text") {
  interface eth {
    .index = 7, .name = "no-such-device", .mtu = 1500,
    .flags = interface_flags::up | interface_flags::multicast | interface_flags::running
  };
  CHECK(fmt::format("{}", eth) == "7: no-such-device <up|multicast|running> mtu 1500");
  eth.hardware_address = {0x02, 0, 0x5e, 0x10, 0, 1};
  CHECK(fmt::format("{}", eth) == "7: no-such-device <up|multicast|running> mtu 1500 02:00:5e:10:00:01");
  CHECK(fmt::format("{:>6}", interface_flags::none) == "  none");
  CHECK(fmt::format("{}", address_flags::deprecated | address_flags::permanent) == "permanent|deprecated");

  const interface_address one{.address = or_throw(ip_address::parse("fe80::1")).with_zone(INT_MAX),
                              .prefix_length = 64};
  CHECK(fmt::format("{}", one) == "fe80::1%2147483647/64");
  CHECK(fmt::format("{}", std::vector{one}) == "[fe80::1%2147483647/64]");
}

}  // namespace
