// The sources of a membership, read and replaced as a whole.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "net/multicast/forgetful_hosts.hpp"
#include "uring6/source_filter.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

ip_address address(const char* text) {
  return or_throw(ip_address::parse(text));
}

const ip_address site = address("ff05::114");

source_filter include(std::vector<ip_address> sources) {
  return {.mode = filter_mode::include, .sources = std::move(sources)};
}
source_filter exclude(std::vector<ip_address> sources) {
  return {.mode = filter_mode::exclude, .sources = std::move(sources)};
}

struct filtering_hosts : forgetful_hosts {
  result<void> set(const source_filter& filter) {
    return in_far([&] { return at.set_source_filter(link, site, filter); });
  }
  result<source_filter> get() { return at.source_filter(link, site); }
};

TEST_CASE("a filter that is set joins the group, replaces all sources, and is read back") {
  filtering_hosts hosts;
  const ip_address near = hosts.cable.near.address;
  const ip_address other = address("2001:db8::99");
  CHECK(hosts.get().error() == errc::not_joined);
  run(hosts.loop, [&]() -> task<> {
    REQUIRE(hosts.set(exclude({near})));
    CHECK(hosts.get() == exclude({near}));
    CHECK(hosts.has(site));
    co_await hosts.send(site, "excluded", near);
    // From all but a list to a list: Go's and the kernel's one-by-one calls refuse it.
    REQUIRE(hosts.set(include({near, other})));
    CHECK(hosts.get() == include({near, other}));
    co_await hosts.send(site, "included", near);
    co_await hosts.expect("included");
    REQUIRE(hosts.set(include({other})));
    co_await hosts.send(site, "of none", near);
    REQUIRE(hosts.set({}));
    CHECK(hosts.get() == source_filter{});
    co_await hosts.send(site, "of all", near);
    co_await hosts.expect("of all");
    REQUIRE(hosts.set(include({})));
    CHECK(hosts.get().error() == errc::not_joined);
    CHECK_FALSE(hosts.has(site));
    CHECK(hosts.set(include({})));
  });
}

TEST_CASE("the sources that single calls have joined or excluded are read as a whole") {
  filtering_hosts hosts;
  const ip_address near = hosts.cable.near.address;
  REQUIRE(hosts.in_far([&] { return hosts.at.join_group(hosts.link, site); }));
  CHECK(hosts.get() == source_filter{});
  REQUIRE(hosts.at.exclude_source_specific_group(hosts.link, site, near));
  CHECK(hosts.get() == exclude({near}));
}

TEST_CASE("more sources than the kernel allows are refused, and leave the filter and the membership as they were") {
  filtering_hosts hosts;
  std::vector<ip_address> many;
  for (int i = 1; i <= 65; ++i) many.push_back(address(("2001:db8::1:" + std::to_string(i)).c_str()));
  const std::vector<ip_address> allowed(many.begin(), many.end() - 1);
  CHECK(hosts.set(include(many)).error() == std::errc::no_buffer_space);
  CHECK(hosts.get().error() == errc::not_joined);
  REQUIRE(hosts.set(include(allowed)));
  CHECK(hosts.set(include(many)).error() == std::errc::no_buffer_space);
  CHECK(hosts.get() == include(allowed));
}

TEST_CASE("a filter that is set for a group that its interface has forgotten joins it again") {
  filtering_hosts hosts;
  const ip_address near = hosts.cable.near.address;
  run(hosts.loop, [&]() -> task<> {
    REQUIRE(hosts.set(include({address("2001:db8::99")})));
    hosts.shrink_and_grow();
    REQUIRE_FALSE(hosts.has(site));
    REQUIRE(hosts.set(include({near})));
    CHECK(hosts.has(site));
    CHECK(hosts.get() == include({near}));
    co_await hosts.send(site, "heard", near);
    co_await hosts.expect("heard");
  });
}

TEST_CASE("the filter of an IPv4 group is set and read on a dual-stack conn") {
  filtering_hosts hosts;
  auto dual = hosts.cable.far.space.run([&] { return or_throw(listen_packet(hosts.loop, "udp", ":0")); });
  const ip_address group = address("239.1.2.3");
  const source_filter wanted = exclude({address("192.0.2.1")});
  REQUIRE(hosts.in_far([&] { return dual.set_source_filter(hosts.link, group, wanted); }));
  CHECK(dual.source_filter(hosts.link, group) == wanted);
  CHECK(dual.set_source_filter(hosts.link, group, exclude({address("2001:db8::1")})).error() ==
        std::errc::address_family_not_supported);
}

TEST_CASE("a filter of 200 sources, more than the first buffer holds, is read whole") {
  filtering_hosts hosts;
  auto dual = hosts.cable.far.space.run([&] {
    write_sysctl("net/ipv4/igmp_max_msf", "300");
    return or_throw(listen_packet(hosts.loop, "udp", ":0"));
  });
  const ip_address group = address("239.1.2.3");
  std::vector<ip_address> many;
  for (int i = 1; i <= 200; ++i) many.push_back(address(("192.0.2." + std::to_string(i)).c_str()));
  REQUIRE(hosts.in_far([&] { return dual.set_source_filter(hosts.link, group, include(many)); }));
  CHECK(dual.source_filter(hosts.link, group) == include(many));
}

TEST_CASE("a filter of what is no group, no source, or of no interface is refused with the object's name") {
  filtering_hosts hosts;
  const ip_address near = hosts.cable.near.address;
  const auto no_group = hosts.at.set_source_filter(hosts.link, near, {});
  REQUIRE_FALSE(no_group);
  CHECK(no_group.error() == errc::not_multicast);
  CHECK(hosts.at.source_filter(hosts.link, near).error() == errc::not_multicast);
  CHECK(hosts.set(include({site})).error() == std::errc::invalid_argument);
  CHECK(hosts.at.set_source_filter(interface{}, site, {}).error() == errc::unknown_zone);
  CHECK(hosts.at.source_filter(interface{}, site).error() == errc::unknown_zone);
  CHECK(hosts.at.set_source_filter(hosts.link, address("239.1.2.3"), {}).error() == errc::ipv4_address);
  CHECK(hosts.at.set_source_filter(hosts.link, address("ff02::114").with_zone(loopback_index), {}).error() ==
        errc::zone_mismatch);
  CHECK(hosts.set({.mode = static_cast<filter_mode>(7)}).error() == std::errc::invalid_argument);
  CHECK(hosts.get().error() == errc::not_joined);
}

}  // namespace
