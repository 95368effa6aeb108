#include "sys/multicast/membership.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <climits>
#include <cstdint>
#include <string>
#include <vector>

#include "support/machine/link_control.hpp"
#include "support/machine/network_namespace.hpp"
#include "support/machine/veth_pair.hpp"
#include "sys/socket/socket.hpp"
#include "sys/socket/socket_options.hpp"
#include "uring6/interface.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

ip_address address(const std::string& text) {
  return or_throw(ip_address::parse(text));
}

const ip_address group = address("ff05::1234");
const ip_address other_group = address("ff05::5678");
const ip_address specific = address("ff3e::1234");
const ip_address source = address("2001:db8::77");
const ip_address other_source = address("2001:db8::78");

ip_address numbered(const ip_address& base, std::size_t number) {
  ip_address::bytes_type bytes = base.bytes();
  bytes[13] = static_cast<std::uint8_t>(number >> 16);
  bytes[14] = static_cast<std::uint8_t>(number >> 8);
  bytes[15] = static_cast<std::uint8_t>(number);
  return ip_address(bytes);
}

// A UDP socket at the near end of a cable, with the calling thread there.
struct near_end {
  veth_pair cable;
  network_namespace::visit inside = cable.near.space.enter();
  std::uint32_t index = cable.near.link.index;
  file_descriptor socket = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  int fd = socket.get();

  [[nodiscard]] std::uint32_t users(const ip_address& of) const {
    const std::vector<group_membership> groups = or_throw(cable.near.link.groups());
    const auto at = std::ranges::find_if(
        groups, [&](const group_membership& m) { return m.group.with_zone(0) == of.with_zone(0); });
    return at == groups.end() ? 0 : at->users;
  }

  [[nodiscard]] std::vector<group_source> sources(const ip_address& of) const {
    const std::vector<group_membership> groups = or_throw(cable.near.link.groups());
    const auto at = std::ranges::find(groups, of, &group_membership::group);
    return at == groups.end() ? std::vector<group_source>{} : at->sources;
  }
};

TEST_CASE("a group is joined until it is left") {
  const near_end near;
  CHECK(near.users(group) == 0);
  REQUIRE(join_group(near.fd, near.index, group));
  CHECK(near.users(group) == 1);
  REQUIRE(leave_group(near.fd, near.index, group));
  CHECK(near.users(group) == 0);
  REQUIRE(join_group(near.fd, near.index, group));
  CHECK(near.users(group) == 1);
}

TEST_CASE("closing the socket leaves its groups") {
  near_end near;
  REQUIRE(join_group(near.fd, near.index, group));
  REQUIRE(near.socket.close());
  CHECK(near.users(group) == 0);
}

TEST_CASE("in every call an address that is no group is not multicast") {
  const near_end near;
  for (const char* text : {"::", "::1", "2001:db8::1", "fe80::1", "192.0.2.1"}) {
    INFO(text);
    const ip_address no_group = address(text);
    CHECK(join_group(near.fd, near.index, no_group).error() == errc::not_multicast);
    CHECK(leave_group(near.fd, near.index, no_group).error() == errc::not_multicast);
    CHECK(join_source_specific_group(near.fd, near.index, no_group, source).error() == errc::not_multicast);
    CHECK(leave_source_specific_group(near.fd, near.index, no_group, source).error() == errc::not_multicast);
    CHECK(exclude_source_specific_group(near.fd, near.index, no_group, source).error() == errc::not_multicast);
    CHECK(include_source_specific_group(near.fd, near.index, no_group, source).error() == errc::not_multicast);
  }
  CHECK(join_group(near.fd, near.index, source).error() == std::errc::invalid_argument);
}

TEST_CASE("an IPv4 group or source is of the wrong family for an IPv6-only socket") {
  const near_end near;
  or_throw(set_option(near.fd, option::only_v6, 1));
  const ip_address v4_group = address("224.0.0.251");
  const ip_address v4_source = address("192.0.2.1");
  CHECK(join_group(near.fd, near.index, v4_group).error() == errc::ipv4_address);
  CHECK(leave_group(near.fd, near.index, v4_group).error() == errc::ipv4_address);
  CHECK(join_source_specific_group(near.fd, near.index, v4_group, source).error() == errc::ipv4_address);
  CHECK(join_source_specific_group(near.fd, near.index, specific, v4_source).error() ==
        std::errc::address_family_not_supported);
}

TEST_CASE("an impossible source address is an error") {
  const near_end near;
  for (const char* text : {"::", "ff02::1"}) {
    INFO(text);
    CHECK(join_source_specific_group(near.fd, near.index, specific, address(text)).error() ==
          std::errc::invalid_argument);
  }
  CHECK(near.users(specific) == 0);
}

TEST_CASE("a group is joined once on an interface") {
  const near_end near;
  REQUIRE(join_group(near.fd, near.index, group));
  CHECK(join_group(near.fd, near.index, group).error() == errc::already_joined);
  CHECK(join_group(near.fd, near.index, group).error() == std::errc::address_in_use);
  // Without an interface the kernel finds the existing membership.
  CHECK(join_group(near.fd, 0, group).error() == errc::already_joined);
  CHECK(near.users(group) == 1);
  // Another interface, another group and another socket each make another membership.
  CHECK(join_group(near.fd, loopback_index, group));
  CHECK(join_group(near.fd, near.index, other_group));
  const file_descriptor second = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  CHECK(join_group(second.get(), near.index, group));
  CHECK(near.users(group) == 2);
}

TEST_CASE("a membership needs an interface that exists and speaks IPv6") {
  const near_end near;
  for (const std::uint32_t index : {std::uint32_t{INT_MAX}, std::uint32_t{0xffffffff}}) {
    CHECK(join_group(near.fd, index, group).error() == errc::unknown_zone);
    CHECK(join_group(near.fd, index, group).error() == std::errc::no_such_device);
    CHECK(join_source_specific_group(near.fd, index, specific, source).error() == errc::unknown_zone);
    CHECK(exclude_source_specific_group(near.fd, index, group, source).error() == errc::unknown_zone);
    CHECK(include_source_specific_group(near.fd, index, group, source).error() == errc::unknown_zone);
    CHECK(leave_source_specific_group(near.fd, index, specific, source).error() == errc::unknown_zone);
    CHECK(leave_group(near.fd, index, group).error() == errc::not_joined);
  }
}

TEST_CASE("an interface without addresses can be joined on, one whose MTU is too small for IPv6 cannot") {
  const near_end near;
  write_sysctl("net/ipv6/conf/near0/disable_ipv6", "1");
  REQUIRE(join_group(near.fd, near.index, group));
  REQUIRE(leave_group(near.fd, near.index, group));
  set_mtu(near.index, 1279);  // The kernel removes IPv6 from the interface then.
  CHECK(join_group(near.fd, near.index, group).error() == std::errc::invalid_argument);
  CHECK(join_source_specific_group(near.fd, near.index, specific, source).error() == std::errc::invalid_argument);
  CHECK(leave_group(near.fd, near.index, group).error() == errc::not_joined);
  set_mtu(near.index, 1280);
  CHECK(join_group(near.fd, near.index, group));
}

TEST_CASE("a membership is made while its interface is down") {
  const near_end near;
  set_link(near.index, link_state::down);
  REQUIRE(join_group(near.fd, near.index, group));
  REQUIRE(join_source_specific_group(near.fd, near.index, specific, source));
  CHECK(near.users(group) == 1);
  set_link(near.index, link_state::up);
  CHECK(near.users(group) == 1);
  CHECK(near.sources(specific) == std::vector{group_source{source, 1, 0}});
}

TEST_CASE("without an interface and without a route a join has no interface") {
  const network_namespace space;
  const auto inside = space.enter();
  const file_descriptor socket = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  CHECK(join_group(socket.get(), 0, group).error() == errc::unknown_zone);
}

TEST_CASE("a join without an interface follows the route, and the leave without one finds it") {
  const near_end near;
  REQUIRE(join_group(near.fd, 0, group));
  CHECK(near.users(group) == 1);
  CHECK(leave_group(near.fd, 0, group));
  CHECK(near.users(group) == 0);
}

TEST_CASE("leaves without an interface take one membership after the other") {
  const near_end near;
  REQUIRE(join_group(near.fd, near.index, group));
  REQUIRE(join_group(near.fd, loopback_index, group));
  CHECK(leave_group(near.fd, 0, group));
  CHECK(leave_group(near.fd, 0, group));
  CHECK(leave_group(near.fd, 0, group).error() == errc::not_joined);
}

TEST_CASE("a group that was not joined cannot be left") {
  const near_end near;
  CHECK(leave_group(near.fd, near.index, group).error() == errc::not_joined);
  CHECK(leave_group(near.fd, near.index, group).error() == std::errc::address_not_available);
  REQUIRE(join_group(near.fd, near.index, group));
  CHECK(leave_group(near.fd, near.index, other_group).error() == errc::not_joined);
  CHECK(leave_group(near.fd, loopback_index, group).error() == errc::not_joined);
  REQUIRE(leave_group(near.fd, near.index, group));
  CHECK(leave_group(near.fd, near.index, group).error() == errc::not_joined);
}

TEST_CASE("the zone of a group or source is its interface, and must not be another one") {
  const near_end near;
  const ip_address zoned = address("ff02::1234").with_zone(near.index);
  REQUIRE(join_group(near.fd, 0, zoned));
  CHECK(near.users(zoned) == 1);
  CHECK(join_group(near.fd, near.index, zoned).error() == errc::already_joined);
  CHECK(join_group(near.fd, loopback_index, zoned).error() == errc::zone_mismatch);
  CHECK(join_group(near.fd, loopback_index, zoned).error() == std::errc::invalid_argument);
  CHECK(leave_group(near.fd, loopback_index, zoned).error() == errc::zone_mismatch);
  CHECK(leave_group(near.fd, 0, zoned));
  CHECK(near.users(zoned) == 0);

  const ip_address zoned_source = near.cable.far.link_local.with_zone(near.index);
  CHECK(join_source_specific_group(near.fd, loopback_index, specific, zoned_source).error() == errc::zone_mismatch);
  CHECK(join_source_specific_group(near.fd, 0, specific.with_zone(loopback_index), zoned_source).error() ==
        errc::zone_mismatch);
  REQUIRE(join_source_specific_group(near.fd, 0, specific, zoned_source));
  CHECK(near.sources(specific) == std::vector{group_source{zoned_source, 1, 0}});
}

TEST_CASE("a source-specific join hears its sources and leaves with the last") {
  const near_end near;
  REQUIRE(join_source_specific_group(near.fd, near.index, specific, source));
  CHECK(near.users(specific) == 1);
  CHECK(near.sources(specific) == std::vector{group_source{source, 1, 0}});
  REQUIRE(join_source_specific_group(near.fd, near.index, specific, other_source));
  CHECK(near.users(specific) == 1);
  CHECK(near.sources(specific).size() == 2);

  REQUIRE(leave_source_specific_group(near.fd, near.index, specific, source));
  CHECK(near.sources(specific) == std::vector{group_source{other_source, 1, 0}});
  REQUIRE(leave_source_specific_group(near.fd, near.index, specific, other_source));
  CHECK(near.users(specific) == 0);
  CHECK(leave_group(near.fd, near.index, specific).error() == errc::not_joined);
}

TEST_CASE("leaving the group leaves all its sources") {
  const near_end near;
  REQUIRE(join_source_specific_group(near.fd, near.index, specific, source));
  REQUIRE(join_source_specific_group(near.fd, near.index, specific, other_source));
  REQUIRE(leave_group(near.fd, near.index, specific));
  CHECK(near.users(specific) == 0);
}

TEST_CASE("a source is joined once, and only a joined one is left") {
  const near_end near;
  REQUIRE(join_source_specific_group(near.fd, near.index, specific, source));
  CHECK(join_source_specific_group(near.fd, near.index, specific, source).error() == std::errc::address_not_available);
  CHECK(leave_source_specific_group(near.fd, near.index, specific, other_source).error() == errc::not_joined);
  CHECK(near.sources(specific) == std::vector{group_source{source, 1, 0}});
}

TEST_CASE("a source is excluded once, and only an excluded one is included again") {
  const near_end near;
  REQUIRE(join_group(near.fd, near.index, group));
  REQUIRE(exclude_source_specific_group(near.fd, near.index, group, source));
  CHECK(near.sources(group) == std::vector{group_source{source, 0, 1}});
  CHECK(exclude_source_specific_group(near.fd, near.index, group, source).error() == std::errc::address_not_available);
  CHECK(include_source_specific_group(near.fd, near.index, group, other_source).error() ==
        std::errc::address_not_available);
  REQUIRE(include_source_specific_group(near.fd, near.index, group, source));
  CHECK(near.sources(group).empty());
  CHECK(near.users(group) == 1);
}

TEST_CASE("sources need a joined group") {
  const near_end near;
  CHECK(exclude_source_specific_group(near.fd, near.index, group, source).error() == std::errc::invalid_argument);
  CHECK(include_source_specific_group(near.fd, near.index, group, source).error() == std::errc::invalid_argument);
  CHECK(leave_source_specific_group(near.fd, near.index, group, source).error() == std::errc::invalid_argument);
}

TEST_CASE("joined and excluded sources do not mix in one membership") {
  const near_end near;
  REQUIRE(join_source_specific_group(near.fd, near.index, specific, source));
  CHECK(exclude_source_specific_group(near.fd, near.index, specific, other_source).error() ==
        std::errc::invalid_argument);
  CHECK(join_group(near.fd, near.index, specific).error() == errc::already_joined);

  REQUIRE(join_group(near.fd, near.index, group));
  REQUIRE(exclude_source_specific_group(near.fd, near.index, group, source));
  CHECK(join_source_specific_group(near.fd, near.index, group, other_source).error() == std::errc::invalid_argument);
  CHECK(leave_source_specific_group(near.fd, near.index, group, source).error() == std::errc::invalid_argument);
  CHECK(near.sources(group) == std::vector{group_source{source, 0, 1}});
}

TEST_CASE("a membership without sources can still become a source-specific one") {
  const near_end near;
  REQUIRE(join_group(near.fd, near.index, group));
  REQUIRE(join_source_specific_group(near.fd, near.index, group, source));
  CHECK(near.users(group) == 1);
  CHECK(near.sources(group) == std::vector{group_source{source, 1, 0}});
}

TEST_CASE("more sources than the host allows are refused, and the others stay") {
  const near_end near;
  // net.ipv6.mld_max_msf, 64 by default; only the first network namespace shows it.
  const auto sources_until_refused = [&](auto add, const ip_address& to) {
    for (std::size_t n = 0; n < 100'000; ++n) {
      const result<void> added = add(near.fd, near.index, to, numbered(source, n));
      if (added) continue;
      CHECK(added.error() == std::errc::no_buffer_space);
      return n;
    }
    return std::size_t{0};
  };
  const std::size_t included = sources_until_refused(join_source_specific_group, specific);
  CHECK(included > 0);
  CHECK(near.sources(specific).size() == included);

  REQUIRE(join_group(near.fd, near.index, group));
  CHECK(sources_until_refused(exclude_source_specific_group, group) == included);
  CHECK(near.sources(group).size() == included);
}

TEST_CASE("memberships end with the socket's option memory, and the socket stays usable") {
  const near_end near;
  // net.core.optmem_max is memory for some hundreds (20 KiB) or thousands (128 KiB, since Linux 6.8) of memberships.
  // The test does not read it: before 6.8 this namespace does not show it.
  constexpr std::size_t enough = 100'000;
  std::error_code refused;
  std::size_t joined = 0;
  while (!refused && joined < enough) {
    if (const result<void> one = join_group(near.fd, loopback_index, numbered(group, joined)); one) {
      ++joined;
    } else {
      refused = one.error();
    }
  }
  CHECK(refused == std::errc::not_enough_memory);
  CHECK(joined > 100);
  REQUIRE(leave_group(near.fd, loopback_index, numbered(group, 0)));
  CHECK(join_group(near.fd, loopback_index, other_group));
}

TEST_CASE("a stream socket may join, without any effect") {
  const near_end near;
  const file_descriptor stream = or_throw(open_socket(AF_INET6, SOCK_STREAM));
  CHECK(join_group(stream.get(), near.index, group));
  CHECK(near.users(group) == 1);
}

TEST_CASE("an IPv4 socket and a closed one are the kernel's errors") {
  const near_end near;
  const file_descriptor v4 = or_throw(open_socket(AF_INET, SOCK_DGRAM));
  CHECK(join_group(v4.get(), near.index, group).error() == std::errc::no_protocol_option);
  CHECK(join_group(-1, near.index, group).error() == std::errc::bad_file_descriptor);
}

TEST_CASE("a membership survives its interface going down") {
  const near_end near;
  REQUIRE(join_group(near.fd, near.index, group));
  set_link(near.index, link_state::down);
  set_link(near.index, link_state::up);
  CHECK(near.users(group) == 1);
  CHECK(leave_group(near.fd, near.index, group));
}

TEST_CASE("the membership of an interface that is gone can still be left") {
  const near_end near;
  REQUIRE(join_group(near.fd, near.index, group));
  delete_link(near.index);
  CHECK(exclude_source_specific_group(near.fd, near.index, group, source).error() == errc::unknown_zone);
  CHECK(leave_group(near.fd, near.index, group));
  CHECK(leave_group(near.fd, near.index, group).error() == errc::not_joined);
}

}  // namespace
