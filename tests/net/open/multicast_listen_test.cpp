// Listening at a multicast address: at the wildcard with a shared port, as Go does, or at the group alone.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string_view>

#include "support/case/coroutines.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/conns.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

ip_address group(const char* text) {
  return or_throw(ip_address::parse(text));
}

const packet_options alone{.bind_to_group = true};

/// A sender at the near end, and listeners at the far end.
struct two_hosts {
  veth_pair cable;
  event_loop loop;
  packet_conn sender = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
  std::array<std::byte, 64> buffer{};

  result<packet_conn> try_listen(std::string_view address, const packet_options& options = {}) {
    return cable.far.space.run([&] { return listen_packet(loop, "udp6", address, options); });
  }
  packet_conn listener(std::string_view address, const packet_options& options = {}) {
    return or_throw(try_listen(address, options));
  }

  task<> send(ip_address to, std::string_view text) {
    control_message control;
    control.interface_index = cable.near.link.index;
    const auto sent = co_await sender.write_to(as_payload(text), control, {to, 7777});
    REQUIRE(sent);
  }

  task<> expect(packet_conn& at, std::string_view text) {
    const auto got = co_await at.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == text);
  }
};

TEST_CASE("listening at a multicast address of any scope binds the wildcard, with the port shared") {
  two_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    const interface& link = hosts.cable.far.link;
    for (const char* address : {"[ff05::]:7777", "[ff02::114]:7777", "[ff02::114%far0]:7777", "[ff0e::1]:7777"}) {
      INFO(address);
      auto first = hosts.listener(address);
      auto second = hosts.listener(address);
      CHECK(name_of(first) == endpoint{{}, 7777});
      // The address joins no group; the conn reads the groups that it joins, and no group of other conns.
      REQUIRE(first.join_group(link, group("ff05::114")));
      REQUIRE(second.join_group(link, group("ff02::115")));
      co_await hosts.send(group("ff05::114"), "first's");
      co_await hosts.send(group("ff02::115"), "second's");
      co_await hosts.expect(first, "first's");
      co_await hosts.expect(second, "second's");
      co_await hosts.send(group("ff05::114"), "again");
      co_await hosts.expect(first, "again");
    }
  });
}

TEST_CASE("listening at a multicast address of IPv4 binds the wildcard of IPv4") {
  const network_namespace space;
  const auto inside = space.enter();
  event_loop loop;
  auto first = or_throw(listen_packet(loop, "udp", "224.0.0.251:7777"));
  auto second = or_throw(listen_packet(loop, "udp", "239.1.1.1:7777"));
  CHECK(name_of(first) == endpoint{ip_address::v4_mapped({}), 7777});
  CHECK(name_of(second) == endpoint{ip_address::v4_mapped({}), 7777});
  CHECK(listen_packet(loop, "udp6", "224.0.0.251:7778").error() == std::errc::invalid_argument);
}

TEST_CASE("the zone of a multicast address to listen at must exist") {
  two_hosts hosts;
  CHECK(hosts.try_listen("[ff02::114%4711]:7777").error() == errc::unknown_zone);
  CHECK(hosts.try_listen("[ff05::114%far0]:7777").error() == errc::needless_zone);
  CHECK(hosts.try_listen("[ff05::114%far0]:7777", alone).error() == errc::needless_zone);
}

TEST_CASE("a conn that is bound to a group reads that group alone, and refuses to join another one") {
  two_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    const interface& link = hosts.cable.far.link;
    const ip_address near_all = group("ff02::114");
    const ip_address site = group("ff05::1");
    const ip_address other = group("ff02::115");
    auto at_link = hosts.listener("[ff02::114%far0]:7777", alone);
    auto at_site = hosts.listener("[ff05::1]:7777", alone);
    auto anywhere = hosts.listener("[ff05::1]:7777");
    CHECK(name_of(at_link) == endpoint{near_all.with_zone(link.index), 7777});
    CHECK(name_of(at_site) == endpoint{site, 7777});
    // the address has no link
    CHECK(hosts.try_listen("[ff02::114]:7777", alone).error() == std::errc::invalid_argument);

    CHECK(at_link.join_group(link, other).error() == errc::bound_to_group);
    CHECK(at_site.join_group(near_all.with_zone(link.index)).error() == errc::bound_to_group);
    CHECK(at_site.join_source_specific_group(link, group("ff35::1"), hosts.cable.near.address).error() ==
          errc::bound_to_group);
    CHECK(at_link.leave_group(link, near_all).error() == errc::not_joined);  // binding the address joins no group
    co_await hosts.send(near_all, "too early");
    co_await hosts.send(site, "too early");

    REQUIRE(at_link.join_group(link, near_all));
    REQUIRE(at_site.join_group(link, site));
    for (const ip_address& one : {near_all, site, other}) REQUIRE(anywhere.join_group(link, one));
    for (int i = 0; i < 2; ++i) {
      co_await hosts.send(other, "other group");
      co_await hosts.send(site, "site");
      co_await hosts.send(near_all, "link");
      co_await hosts.send(hosts.cable.far.address, "unicast");
    }
    for (int i = 0; i < 2; ++i) {
      co_await hosts.expect(at_link, "link");
      co_await hosts.expect(at_site, "site");
      for (const char* text : {"other group", "site", "link", "unicast"}) co_await hosts.expect(anywhere, text);
    }
    // Each conn has read all its datagrams: the next one is this.
    for (const ip_address& one : {near_all, site}) co_await hosts.send(one, "end");
    co_await hosts.expect(at_link, "end");
    co_await hosts.expect(at_site, "end");
  });
}

}  // namespace
