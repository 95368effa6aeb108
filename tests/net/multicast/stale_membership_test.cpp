// Groups that an interface has lost while the socket keeps its membership: joining again brings their datagrams back.
#include <netinet/in.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <string>

#include "support/case/coroutines.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/process/forked.hpp"
#include "support/traffic/conns.hpp"
#include "uring6/interface.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

constexpr std::uint16_t port = 7777;

ip_address address(const char* text) {
  return or_throw(ip_address::parse(text));
}

const ip_address site = address("ff05::114");
const ip_address specific = address("ff35::8000:1");

/// A sender at the near end, and a listener at the far end on an interface that loses IPv6 and gets it back.
struct forgetful {
  veth_pair cable;
  event_loop loop;
  packet_conn sender = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
  packet_conn at = cable.far.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:7777")); });
  interface link = cable.far.link;
  std::array<std::byte, 64> buffer{};

  [[nodiscard]] bool has(const ip_address& group) const {
    return cable.far.space.run([&] {
      const auto groups = or_throw(interface::all_groups());
      return std::ranges::any_of(groups, [&](const group_membership& each) {
        return each.interface_index == link.index && each.group == group;
      });
    });
  }

  /// Calls the join in the namespace of the conn, as a program does.
  template <class Join>
  result<void> in_far(Join join) {
    return cable.far.space.run(join);
  }

  void wait_until_both_run() {
    const auto runs = [](const veth_end& end, std::uint32_t index) {
      return end.space.run([&] { return is_operational(index); });
    };
    REQUIRE(eventually([&] { return runs(cable.near, cable.near.link.index) && runs(cable.far, link.index); }));
  }

  task<> send(const ip_address& group, std::string_view text, const ip_address& source) {
    control_message control;
    control.interface_index = cable.near.link.index;
    if (source.is_unicast()) control.source = source;
    const auto sent = co_await sender.write_to(as_payload(text), control, {group, port});
    REQUIRE(sent);
  }

  task<> expect(std::string_view text) {
    const auto got = co_await at.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == text);
  }

  void shrink_and_grow() {
    cable.far.space.run([&] {
      set_mtu(link.index, 1279);
      set_mtu(link.index, 1500);
    });
    wait_until_both_run();
  }

  /// Deleting the far end deletes the near one: that one gets its addresses again.
  void delete_and_create() {
    cable.far.space.run([&] {
      delete_link(link.index);
      create_veth(link.name, cable.near.space, cable.near.link.name, link.index);
      set_link(link.index, link_state::up);
    });
    cable.near.space.run([&] {
      cable.near.link = or_throw(interface::by_name(cable.near.link.name));
      set_link(cable.near.link.index, link_state::up);
      add_address(cable.near.link.index, cable.near.address, 64);
    });
    wait_until_both_run();
  }

  void move_and_return() {
    const network_namespace elsewhere;
    cable.far.space.run([&] { move_link(link.index, elsewhere); });
    elsewhere.run([&] { move_link(or_throw(interface::by_name(link.name)).index, cable.far.space); });
    const interface back = cable.far.space.run([&] { return or_throw(interface::by_name(link.name)); });
    REQUIRE(back.index == link.index);
    cable.far.space.run([&] { set_link(link.index, link_state::up); });
    wait_until_both_run();
  }
};

TEST_CASE("the datagrams of a group that its interface has lost arrive after a second join") {
  forgetful hosts;
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
  forgetful hosts;
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
  forgetful hosts;
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
  forgetful hosts;
  const auto join = [&] { return hosts.in_far([&] { return hosts.at.join_group(hosts.link, site); }); };
  REQUIRE(join());
  hosts.cable.far.space.run([&] { set_mtu(hosts.link.index, 1279); });
  CHECK(join().error() == std::errc::invalid_argument);
  hosts.cable.far.space.run([&] { set_mtu(hosts.link.index, 1500); });
  CHECK(join());
  CHECK(hosts.has(site));
}

TEST_CASE("a lost group keeps its sources when it is joined again without an interface's name") {
  forgetful hosts;
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
    forgetful hosts;
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
