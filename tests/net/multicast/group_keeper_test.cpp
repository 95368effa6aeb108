// Memberships that group_keeper keeps: joined once after each event that makes the kernel forget them, and not
// otherwise.
#include "uring6/group_keeper.hpp"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "net/multicast/forgetful_hosts.hpp"
#include "sys/socket/socket.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

ip_address address(const char* text) {
  return or_throw(ip_address::parse(text));
}

const ip_address site = address("ff05::114");
const ip_address link_scope = address("ff02::114");

/// The listener of forgetful_hosts with a keeper that runs.
struct kept_hosts : forgetful_hosts {
  group_keeper keeper = cable.far.space.run([&] { return group_keeper(loop, at); });

  template <class F>
  auto in(F f) {
    return cable.far.space.run(f);
  }

  /// Gives the keeper its turns until it has joined so often.
  task<> joined(std::uint64_t times) {
    co_await until([this, times] { return keeper.stats().joins == times; });
  }

  /// A datagram arrives, by this group.
  task<> hears(const ip_address& group) {
    co_await send(group, "heard", cable.near.address);
    co_await expect("heard");
  }

  /// Lets the keeper follow all that the kernel has told: it joins a further group when it comes to the mark.
  task<> settle() {
    REQUIRE(in([&] { return keeper.keep("mark0", address("ff05::77")); }));
    in([&] { create_veth("mark0", elsewhere, "mark1"); });
    co_await until([&] { return keeper.memberships().back().joined; });
  }

  network_namespace elsewhere;
};

task<> follow(group_keeper& keeper) {
  const auto end = co_await keeper.run();
  CHECK(end.error() == errc::canceled);
}

TEST_CASE("a kept membership hears again after each event that makes its interface forget it, and is joined once") {
  kept_hosts hosts;
  const bool by_name = GENERATE(true, false);
  CAPTURE(by_name);
  run(hosts.loop, [&]() -> task<> {
    REQUIRE(hosts.in([&] {
      return by_name ? hosts.keeper.keep(hosts.link.name, site) : hosts.keeper.keep(hosts.link.index, site);
    }));
    CHECK(hosts.keeper.stats().joins == 1);
    CHECK(hosts.has(site));
    beside running(hosts.loop, follow(hosts.keeper));
    co_await hosts.hears(site);

    SECTION("its MTU fell below 1,280 octets and rose again") {
      hosts.shrink_and_grow();
      co_await hosts.joined(2);
      CHECK(hosts.keeper.stats().mtu_restored == 1);
    }
    SECTION("it was deleted and created with the same index") {
      hosts.delete_and_create();
      co_await hosts.joined(2);
      CHECK(hosts.keeper.stats().recreated == 1);
    }
    SECTION("it was moved to another namespace and back") {
      hosts.move_and_return();
      co_await hosts.joined(2);
      CHECK(hosts.keeper.stats().recreated == 1);
    }
    CHECK(hosts.has(site));
    CHECK(hosts.keeper.stats().left == 1);
    CHECK(hosts.keeper.stats().overruns == 0);
    co_await hosts.hears(site);
    CHECK(hosts.keeper.stats().joins == 2);
    running.request_stop();
    co_await running.join();
  });
}

TEST_CASE("a link that goes down and up costs a kept membership no join") {
  kept_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    REQUIRE(hosts.in([&] { return hosts.keeper.keep(hosts.link.name, site); }));
    beside running(hosts.loop, follow(hosts.keeper));
    for (int i = 0; i < 10; ++i) {
      hosts.in([&] {
        set_link(hosts.link.index, link_state::down);
        set_link(hosts.link.index, link_state::up);
      });
    }
    hosts.wait_until_both_run();
    co_await hosts.settle();
    co_await hosts.hears(site);
    CHECK(hosts.keeper.memberships().front().joined);
    CHECK(hosts.keeper.stats().recreated == 0);
    CHECK(hosts.keeper.stats().refused == 0);
    CHECK(hosts.keeper.stats().joins == 1 + 1);  // and that of the mark
  });
}

TEST_CASE("a membership by name follows the name, and one by index stays") {
  kept_hosts hosts;
  const std::string name = hosts.link.name;
  const auto rename = [&](const std::string& to) {
    hosts.in([&] {
      set_link(hosts.link.index, link_state::down);
      rename_link(hosts.link.index, to);
      set_link(hosts.link.index, link_state::up);
    });
  };
  run(hosts.loop, [&]() -> task<> {
    REQUIRE(hosts.in([&] { return hosts.keeper.keep(name, site); }));
    REQUIRE(hosts.in([&] { return hosts.keeper.keep(hosts.link.index, link_scope); }));
    beside running(hosts.loop, follow(hosts.keeper));

    rename("other");
    co_await until([&] { return hosts.keeper.stats().left == 1; });
    CHECK_FALSE(hosts.has(site));
    CHECK(hosts.has(link_scope.with_zone(hosts.link.index)));
    auto all = hosts.keeper.memberships();
    CHECK(to_string(all[0]) == "ff05::114 on " + name + " absent");
    CHECK(to_string(all[1]) == "ff02::114 ifindex=" + std::to_string(hosts.link.index) + " joined");

    // Another interface gets the name, and then the first one has it back.
    const network_namespace far;
    hosts.in([&] { create_veth(name, far, "b"); });
    co_await hosts.joined(3);
    const auto second = hosts.in([&] { return or_throw(interface::by_name(name)); });
    CHECK(hosts.keeper.memberships()[0].interface_index == second.index);
    hosts.in([&] { delete_link(second.index); });
    rename(name);
    co_await hosts.joined(4);
    CHECK(hosts.has(site));
    CHECK(hosts.keeper.stats().recreated == 1);
    CHECK(hosts.keeper.stats().renamed == 1);
    CHECK(hosts.keeper.stats().first == 2);
    hosts.wait_until_both_run();
    co_await hosts.hears(site);
  });
}

TEST_CASE("a membership of an interface that is not there is joined when it comes, and costs nothing until then") {
  kept_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    REQUIRE(hosts.in([&] { return hosts.keeper.keep("later", site); }));
    REQUIRE(hosts.in([&] { return hosts.keeper.keep(4'242U, site); }));
    REQUIRE(hosts.in([&] { return hosts.keeper.keep("never", site); }));
    beside running(hosts.loop, follow(hosts.keeper));
    const network_namespace far;
    hosts.in([&] { create_veth("later", far, "b", 4'242); });
    co_await until([&] { return hosts.keeper.stats().joins > 0; });
    const auto all = hosts.keeper.memberships();
    CHECK((all[0].joined && all[0].interface_index == 4'242));
    // The conn has joined the group on that interface, by the first wish: one membership.
    CHECK(all[1].joined);
    CHECK_FALSE(all[2].joined);
    CHECK(all[2].interface_index == 0);
    CHECK_FALSE(all[2].error);
    CHECK(hosts.keeper.stats().refused == 0);
  });
}

TEST_CASE("after an overrun the memberships that were lost meanwhile are joined again, and the others are not") {
  kept_hosts hosts;
  const bool forgets = GENERATE(true, false);
  CAPTURE(forgets);
  run(hosts.loop, [&]() -> task<> {
    REQUIRE(hosts.in([&] { return hosts.keeper.keep(hosts.link.name, site); }));
    hosts.in([&] {
      // More messages than the keeper's socket has room for.
      for (int i = 0; i < 4'000; ++i) {
        add_address(loopback_index, address("2001:db8::77"), 128);
        delete_address(loopback_index, address("2001:db8::77"), 128);
      }
    });
    if (forgets) hosts.shrink_and_grow();
    beside running(hosts.loop, follow(hosts.keeper));
    co_await hosts.settle();
    CHECK(hosts.keeper.stats().overruns > 0);
    CHECK(hosts.keeper.stats().rejoined == (forgets ? 1 : 0));
    CHECK(hosts.keeper.stats().mtu_restored == 0);
    CHECK(hosts.has(site));
    co_await hosts.hears(site);
  });
}

// Does the kernel tell that an interface has left a group? RTNLGRP_IPV6_MCADDR
bool tells_of_groups() {
  const file_descriptor fd = or_throw(open_socket(AF_NETLINK, SOCK_RAW));
  const int groups = 38;
  return ::setsockopt(fd.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups, sizeof groups) == 0;
}

TEST_CASE("a membership that another socket's end has taken from the interface is joined again") {
  if (!tells_of_groups()) SKIP("this kernel does not tell that an interface has left a group");
  kept_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    REQUIRE(hosts.in([&] { return hosts.keeper.keep(hosts.link.name, site); }));
    // The second conn counts as joined although its interface was replaced. Its end takes the first one's place.
    std::optional<packet_conn> second = hosts.in([&] { return or_throw(listen_packet(hosts.loop, "udp6", "[::]:0")); });
    REQUIRE(hosts.in([&] { return second->join_group(hosts.link, site); }));
    beside running(hosts.loop, follow(hosts.keeper));
    hosts.delete_and_create();
    co_await hosts.joined(2);
    CHECK(hosts.keeper.stats().recreated == 1);
    second.reset();
    CHECK_FALSE(hosts.has(site));
    co_await hosts.joined(3);
    CHECK(hosts.keeper.stats().rejoined == 1);
    CHECK(hosts.has(site));
    co_await hosts.hears(site);
  });
}

TEST_CASE("two keepers of one group on an interface that is replaced end with a membership each, and join no further") {
  if (!tells_of_groups()) SKIP("this kernel does not tell that an interface has left a group");
  kept_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    auto second = hosts.in([&] { return or_throw(listen_packet(hosts.loop, "udp6", "[::]:0")); });
    group_keeper other = hosts.in([&] { return group_keeper(hosts.loop, second); });
    REQUIRE(hosts.in([&] { return hosts.keeper.keep(hosts.link.name, site); }));
    REQUIRE(hosts.in([&] { return other.keep(hosts.link.name, site); }));
    beside running(hosts.loop, follow(hosts.keeper));
    beside running_too(hosts.loop, follow(other));
    hosts.delete_and_create();
    co_await until([&] { return hosts.keeper.stats().recreated == 1 && other.stats().recreated == 1; });
    co_await hosts.settle();
    co_await hosts.hears(site);
    running_too.request_stop();
    co_await running_too.join();
    REQUIRE(second.close());
    // Whichever of the two has its place in the kernel's count: the first one hears.
    co_await until([&] { return hosts.has(site); });
    co_await hosts.hears(site);
    CHECK(other.stats().joins <= 3);
    CHECK(hosts.keeper.stats().joins <= 5);  // with that of the mark
  });
}

TEST_CASE("two wishes for one membership join it once, and it is left with the last one") {
  kept_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    REQUIRE(hosts.in([&] { return hosts.keeper.keep(hosts.link.name, site); }));
    REQUIRE(hosts.in([&] { return hosts.keeper.keep(hosts.link.index, site); }));
    beside running(hosts.loop, follow(hosts.keeper));
    hosts.in([&] {
      set_link(hosts.link.index, link_state::down);
      rename_link(hosts.link.index, "other");
      set_link(hosts.link.index, link_state::up);
    });
    co_await until([&] { return !hosts.keeper.memberships()[0].joined; });
    CHECK(hosts.has(site));
    hosts.wait_until_both_run();
    co_await hosts.hears(site);
    REQUIRE(hosts.keeper.leave(hosts.link.name, site));
    CHECK(hosts.has(site));
    REQUIRE(hosts.keeper.leave(hosts.link.index, site));
    CHECK_FALSE(hosts.has(site));
  });
}

TEST_CASE("sources are kept with the membership: those that are joined, and those that are excluded") {
  kept_hosts hosts;
  const ip_address near = hosts.cable.near.address;
  const ip_address other = address("2001:db8::99");
  const ip_address specific = address("ff35::8000:1");
  const source_filter only_near{.mode = filter_mode::include, .sources = {near, other}};
  const source_filter all_but_near{.mode = filter_mode::exclude, .sources = {near}};
  run(hosts.loop, [&]() -> task<> {
    const auto filter_of = [&](const ip_address& group) {
      return or_throw(hosts.in([&] { return hosts.at.source_filter(hosts.link, group); }));
    };
    REQUIRE(hosts.in([&] { return hosts.keeper.keep(hosts.link.name, specific, only_near); }));
    REQUIRE(hosts.in([&] { return hosts.keeper.keep(hosts.link.name, site, all_but_near); }));
    CHECK(filter_of(specific) == only_near);
    CHECK(filter_of(site) == all_but_near);
    beside running(hosts.loop, follow(hosts.keeper));
    hosts.shrink_and_grow();
    co_await hosts.joined(4);
    CHECK(filter_of(specific) == only_near);
    CHECK(filter_of(site) == all_but_near);
    co_await hosts.send(site, "excluded", near);
    co_await hosts.send(specific, "joined", near);
    co_await hosts.expect("joined");
  });
}

TEST_CASE("IPv4 groups of a dual-stack conn are kept, too") {
  veth_pair cable;
  event_loop loop;
  auto at = cable.far.space.run([&] { return or_throw(listen_packet(loop, "udp", ":0")); });
  auto keeper = cable.far.space.run([&] { return group_keeper(loop, at); });
  const ip_address group = address("239.1.2.3");
  run(loop, [&]() -> task<> {
    REQUIRE(cable.far.space.run([&] { return keeper.keep(cable.far.link.name, group); }));
    beside running(loop, follow(keeper));
    const auto filter_of = [&] { return at.source_filter(cable.far.link, group); };
    REQUIRE(filter_of());
    cable.far.space.run([&] {
      delete_link(cable.far.link.index);
      create_veth(cable.far.link.name, cable.near.space, "near1", cable.far.link.index);
    });
    co_await until([&] { return keeper.stats().recreated == 1; });
    CHECK(filter_of());
    // Below 1,280 octets the interface has IPv4 still.
    cable.far.space.run([&] {
      set_mtu(cable.far.link.index, 1'000);
      delete_link(cable.far.link.index);
    });
    co_await until([&] { return !keeper.memberships().front().joined; });
    CHECK(keeper.stats().mtu_restored == 0);
    CHECK(filter_of().error() == errc::not_joined);
  });
}

TEST_CASE("a membership that the program has left is kept no more") {
  kept_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    REQUIRE(hosts.in([&] { return hosts.keeper.keep(hosts.link.name, site); }));
    CHECK(hosts.keeper.keep(hosts.link.name, site).error() == errc::already_joined);
    REQUIRE(hosts.keeper.leave(hosts.link.name, site));
    CHECK(hosts.keeper.leave(hosts.link.name, site).error() == errc::not_joined);
    CHECK_FALSE(hosts.has(site));
    CHECK(hosts.keeper.memberships().empty());
    // It can be kept again, also when the conn has joined it itself.
    REQUIRE(hosts.in([&] { return hosts.at.join_group(hosts.link, site); }));
    REQUIRE(hosts.in([&] { return hosts.keeper.keep(hosts.link.name, site); }));
    CHECK(hosts.has(site));
    co_await hosts.hears(site);
  });
}

TEST_CASE("what cannot be kept is refused, and nothing is kept then") {
  kept_hosts hosts;
  const auto keep = [&](std::string_view name, const ip_address& group, const source_filter& sources = {}) {
    return hosts.in([&] { return hosts.keeper.keep(name, group, sources); }).error();
  };
  const source_filter nothing{.mode = filter_mode::include};
  CHECK(keep(hosts.link.name, address("2001:db8::1")) == errc::not_multicast);
  CHECK(keep(hosts.link.name, address("239.1.2.3")) == errc::ipv4_address);
  CHECK(keep("", site) == errc::unknown_zone);
  CHECK(keep("sixteen-octets-x", site) == errc::unknown_zone);
  CHECK(keep(std::string_view("a\0b", 3), site) == errc::unknown_zone);
  CHECK(keep(hosts.link.name, link_scope.with_zone(loopback_index)) == errc::zone_mismatch);
  CHECK(keep(hosts.link.name, site, nothing) == std::errc::invalid_argument);
  CHECK(keep(hosts.link.name, site, {.mode = filter_mode::include, .sources = {site}}) == std::errc::invalid_argument);
  CHECK(keep("later", site, nothing) == std::errc::invalid_argument);
  CHECK(hosts.in([&] { return hosts.keeper.keep(0U, site); }).error() == errc::unknown_zone);
  CHECK(hosts.in([&] { return hosts.keeper.keep(~0U, site); }).error() == errc::unknown_zone);
  CHECK(hosts.keeper.memberships().empty());
  CHECK_FALSE(hosts.has(site));

  auto bound = hosts.in(
      [&] { return or_throw(listen_packet(hosts.loop, "udp6", "[ff05::115]:7778", {.bind_to_group = true})); });
  auto keeper = hosts.in([&] { return group_keeper(hosts.loop, bound); });
  CHECK(hosts.in([&] { return keeper.keep("later", site); }).error() == errc::bound_to_group);
}

TEST_CASE("no keeper is made in another namespace or for a closed conn, and one that was moved from is closed") {
  kept_hosts hosts;
  CHECK(group_keeper::open(hosts.loop, hosts.at).error() == std::errc::invalid_argument);
  packet_conn none;
  CHECK(group_keeper::open(hosts.loop, none).error() == errc::closed);

  group_keeper moved = std::move(hosts.keeper);
  CHECK(hosts.keeper.keep("lo", site).error() == errc::closed);
  CHECK(hosts.keeper.leave("lo", site).error() == errc::closed);
  CHECK(hosts.keeper.memberships().empty());
  CHECK(hosts.keeper.stats().joins == 0);
  run(hosts.loop, [&]() -> task<> {
    const auto end = co_await hosts.keeper.run();
    CHECK(end.error() == errc::closed);
    beside running(hosts.loop, follow(moved));
    co_await yield();
    const auto second = co_await moved.run();
    CHECK(second.error() == std::errc::operation_in_progress);
    std::error_code elsewhere;
    std::thread([&] { elsewhere = moved.keep("lo", site).error(); }).join();
    CHECK(elsewhere == errc::wrong_thread);
    running.request_stop();
    co_await running.join();
    REQUIRE(hosts.at.close());
    CHECK(moved.keep("lo", site).error() == errc::closed);
    const auto closed = co_await moved.run();
    CHECK(closed.error() == errc::closed);
  });
}

}  // namespace
