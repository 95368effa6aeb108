// Groups that an interface has lost while the socket keeps its membership: joining again brings their datagrams back.
#include <netinet/in.h>
#include <sys/syscall.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <string>

#include "net/multicast/forgetful_hosts.hpp"
#include "support/process/forked.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

ip_address address(const char* text) {
  return or_throw(ip_address::parse(text));
}

const ip_address site = address("ff05::114");
const ip_address specific = address("ff35::8000:1");

TEST_CASE("the datagrams of a group that its interface has lost arrive after a second join") {
  forgetful_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    REQUIRE(hosts.in_far([&] { return hosts.at.join_group(hosts.link, site); }));
    CHECK(hosts.in_far([&] { return hosts.at.join_group(hosts.link, site); }).error() == errc::already_joined);
    co_await hosts.send(site, "before", {});
    co_await hosts.expect("before");

    SECTION("its MTU fell below 1280 and rose again") {
      hosts.shrink_and_grow();
    }
    SECTION("it was deleted and created with the same index") {
      hosts.delete_and_create();
    }
    SECTION("it was moved to another namespace and back") {
      hosts.move_and_return();
    }

    REQUIRE_FALSE(hosts.has(site));
    REQUIRE(hosts.in_far([&] { return hosts.at.join_group(hosts.link, site); }));
    CHECK(hosts.has(site));
    CHECK(hosts.in_far([&] { return hosts.at.join_group(hosts.link, site); }).error() == errc::already_joined);
    co_await hosts.send(site, "after", {});
    co_await hosts.expect("after");
    CHECK(hosts.in_far([&] { return hosts.at.leave_group(hosts.link, site); }));
    CHECK(hosts.in_far([&] { return hosts.at.leave_group(hosts.link, site); }).error() == errc::not_joined);
  });
}

TEST_CASE("a lost group is found without an interface's name, too, and another conn's membership stays") {
  forgetful_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    const auto join = [&](packet_conn& by) { return hosts.in_far([&] { return by.join_group(site); }); };
    hosts.cable.far.space.run([&] { or_throw(hosts.at.join_group(hosts.link, site)); });
    hosts.shrink_and_grow();
    REQUIRE_FALSE(hosts.has(site));
    REQUIRE(hosts.cable.far.space.run([&] {
      // The routing table chooses the interface: only this one of the host has a route for groups.
      return hosts.at.join_group(site);
    }));
    CHECK(hosts.has(site));

    // A membership that the interface still has is left alone.
    auto second = hosts.cable.far.space.run([&] { return or_throw(listen_packet(hosts.loop, "udp6", "[::]:0")); });
    REQUIRE(join(second));
    CHECK(join(second).error() == errc::already_joined);
    CHECK(join(hosts.at).error() == errc::already_joined);
    REQUIRE(second.close());
    CHECK(hosts.has(site));
    co_await hosts.send(site, "heard", {});
    co_await hosts.expect("heard");
  });
}

TEST_CASE("the sources of a lost group are joined or excluded again with it") {
  forgetful_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    const ip_address near = hosts.cable.near.address;
    const ip_address other = address("2001:db8::99");
    const auto join_source = [&](const ip_address& source) {
      return hosts.in_far([&] { return hosts.at.join_source_specific_group(hosts.link, specific, source); });
    };
    REQUIRE(join_source(near));
    REQUIRE(hosts.in_far([&] { return hosts.at.join_group(hosts.link, site); }));
    REQUIRE(hosts.in_far([&] { return hosts.at.exclude_source_specific_group(hosts.link, site, near); }));
    hosts.shrink_and_grow();
    REQUIRE_FALSE(hosts.has(specific));

    SECTION("by the same source") {
      REQUIRE(join_source(near));
      CHECK(join_source(near).error() == std::errc::address_not_available);
    }
    SECTION("by a further source") {
      REQUIRE(join_source(other));
      CHECK(join_source(other).error() == std::errc::address_not_available);
    }
    REQUIRE(hosts.in_far([&] { return hosts.at.join_group(hosts.link, site); }));
    CHECK(hosts.has(specific));
    co_await hosts.send(site, "excluded", near);
    co_await hosts.send(specific, "joined", near);
    co_await hosts.expect("joined");
    CHECK(hosts.in_far([&] { return hosts.at.include_source_specific_group(hosts.link, site, near); }));
    co_await hosts.send(site, "included", near);
    co_await hosts.expect("included");
  });
}

TEST_CASE("a lost group cannot be joined while its interface has no IPv6, and can once it has") {
  forgetful_hosts hosts;
  const auto join = [&] { return hosts.in_far([&] { return hosts.at.join_group(hosts.link, site); }); };
  REQUIRE(join());
  hosts.cable.far.space.run([&] { set_mtu(hosts.link.index, 1279); });
  CHECK(join().error() == std::errc::invalid_argument);
  hosts.cable.far.space.run([&] { set_mtu(hosts.link.index, 1500); });
  CHECK(join());
  CHECK(hosts.has(site));
}

TEST_CASE("a lost group keeps its sources when it is joined again without an interface's name") {
  forgetful_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    const ip_address near = hosts.cable.near.address;
    REQUIRE(hosts.in_far([&] { return hosts.at.join_group(hosts.link, site); }));
    REQUIRE(hosts.in_far([&] { return hosts.at.exclude_source_specific_group(hosts.link, site, near); }));
    REQUIRE(hosts.in_far([&] { return hosts.at.join_source_specific_group(hosts.link, specific, near); }));
    hosts.shrink_and_grow();
    REQUIRE_FALSE(hosts.has(site));
    REQUIRE_FALSE(hosts.has(specific));
    REQUIRE(hosts.in_far([&] { return hosts.at.join_group(site); }));
    const interface routed = {};
    REQUIRE(hosts.in_far([&] { return hosts.at.join_source_specific_group(routed, specific, near); }));
    CHECK(hosts.has(specific));
    co_await hosts.send(site, "excluded", near);
    co_await hosts.send(specific, "joined", near);
    co_await hosts.expect("joined");
  });
}

TEST_CASE("a forgotten group of which the kernel takes back only a part is left, as the error says") {
  const std::string said = in_child([] {
    forgetful_hosts hosts;
    const ip_address near = hosts.cable.near.address;
    const auto join = [&] { return hosts.in_far([&] { return hosts.at.join_group(hosts.link, site); }); };
    or_throw(join());
    or_throw(hosts.in_far([&] { return hosts.at.exclude_source_specific_group(hosts.link, site, near); }));
    hosts.shrink_and_grow();
    // The group can be joined, but its source not excluded.
    forbid_system_call(SYS_setsockopt, ENOBUFS, {.index = 2, .value = MCAST_BLOCK_SOURCE});
    const auto refused = join();
    if (refused || refused.error() != std::errc::no_buffer_space) return std::string("no error");
    if (hosts.has(site)) return std::string("heard with the source that was excluded");
    const auto left = hosts.in_far([&] { return hosts.at.leave_group(hosts.link, site); });
    if (left || left.error() != errc::not_joined) return std::string("still joined");
    return std::string(join() && hosts.has(site) ? "left" : "cannot be joined any more");
  });
  CHECK(said == "left");
}

}  // namespace
