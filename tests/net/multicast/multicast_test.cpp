// Groups on the wire: members read a group's datagrams, other conns do not.

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "support/case/coroutines.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/conns.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/icmp.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

ip_address group(const char* text) {
  return or_throw(ip_address::parse(text));
}

/// Two hosts on a cable: a sender at the near end, and listeners on one port at the far end.
struct two_hosts {
  veth_pair cable;
  event_loop loop;
  packet_conn sender = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });

  packet_conn listener(std::string_view address = "[::]:7777", packet_options options = {.reuse_address = true}) {
    return cable.far.space.run([&] { return or_throw(listen_packet(loop, "udp6", address, options)); });
  }

  /// Sends a datagram to the group and a unicast one behind it: if the reader of the second has not read the first, it
  /// was not delivered.
  task<> send(ip_address to, std::string_view text, std::uint16_t port = 7777) {
    control_message control;
    control.interface_index = cable.near.link.index;
    const auto sent = co_await sender.write_to(as_payload(text), control, {to, port});
    REQUIRE(sent);
  }

  task<> expect(packet_conn& at, std::string_view text) {
    const auto got = co_await at.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == text);
  }

  std::array<std::byte, 64> buffer;
};

TEST_CASE("multicast crosses the cable to members only") {
  two_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    const interface& link = hosts.cable.far.link;
    auto at = hosts.listener();
    REQUIRE(at.set_control_message(all_control, true));
    const ip_address all = group("ff02::114");

    co_await hosts.send(all, "before");
    co_await hosts.send(hosts.cable.far.address, "unicast 1");
    co_await hosts.expect(at, "unicast 1");

    REQUIRE(at.join_group(link, all));
    co_await hosts.send(all, "member");
    const auto got = co_await at.read_from(hosts.buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "member");
    CHECK(got->control.destination == all);
    CHECK(got->control.interface_index == link.index);
    CHECK(got->control.hop_limit == 1);
    CHECK(got->source.address.is_link_local());
    // A group cannot be a source address: reply() leaves the source to the kernel.
    CHECK_FALSE(got->control.reply().source);
    CHECK(got->control.reply().interface_index == link.index);

    CHECK(at.join_group(link, all).error() == errc::already_joined);
    REQUIRE(at.leave_group(link, all));
    CHECK(at.leave_group(link, all).error() == errc::not_joined);
    co_await hosts.send(all, "after");
    co_await hosts.send(hosts.cable.far.address, "unicast 2");
    co_await hosts.expect(at, "unicast 2");
  });
}

TEST_CASE("a conn reads the groups that it joined itself, and with multicast_all those of other sockets of the host") {
  two_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    const interface& link = hosts.cable.far.link;
    auto first = hosts.listener();
    auto second = hosts.listener();
    auto curious = hosts.listener("[::]:7777", {.reuse_address = true, .joined_groups_only = false});
    REQUIRE(first.join_group(link, group("ff02::1:1")));
    REQUIRE(second.join_group(link, group("ff02::1:2")));
    co_await hosts.send(group("ff02::1:1"), "one");
    co_await hosts.send(group("ff02::1:2"), "two");
    co_await hosts.expect(first, "one");
    co_await hosts.expect(second, "two");
    co_await hosts.expect(curious, "one");
    co_await hosts.expect(curious, "two");
    // If the first conn had read the second group, that datagram would come before this one.
    co_await hosts.send(group("ff02::1:1"), "three");
    co_await hosts.expect(first, "three");
  });
}

TEST_CASE("a dual-stack conn reads no IPv4 group that only other sockets joined, unless multicast_all is on") {
  const network_namespace space;
  event_loop loop;
  run(loop, [&]() -> task<> {
    const auto inside = space.enter();
    write_sysctl("net/ipv4/conf/lo/route_localnet", "1");  // allows multicast from 127.0.0.1
    const std::array<std::uint8_t, 4> all{239, 1, 1, 4};
    const ip_mreqn membership{std::bit_cast<in_addr>(all), {}, static_cast<int>(loopback_index)};
    const auto join = [&](int fd) {
      return ::setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership, sizeof membership) == 0;
    };
    const file_descriptor member = or_throw(open_socket(AF_INET, SOCK_DGRAM));
    REQUIRE(join(member.get()));

    auto plain = or_throw(listen_packet(loop, "udp", "[::]:0"));
    auto curious = or_throw(listen_packet(loop, "udp", "[::]:0", {.joined_groups_only = false}));
    auto sender = or_throw(listen_packet(loop, "udp", "127.0.0.1:0"));
    control_message by_loopback;
    by_loopback.interface_index = loopback_index;
    std::array<std::byte, 64> buffer;
    const auto send_both = [&](packet_conn& to) -> task<> {
      const std::uint16_t port = or_throw(to.local_endpoint()).port;
      auto sent = co_await sender.write_to(as_payload("group"), by_loopback, {ip_address::v4_mapped(all), port});
      REQUIRE(sent);
      sent = co_await sender.write_to(as_payload("host"), {ip_address::v4_mapped({127, 0, 0, 1}), port});
      REQUIRE(sent);
    };
    co_await send_both(curious);
    auto got = co_await curious.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "group");
    co_await send_both(plain);
    got = co_await plain.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "host");
    // It reads the group once it has joined the group itself.
    REQUIRE(join(plain.native_handle()));
    co_await send_both(plain);
    got = co_await plain.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "group");
  });
}

TEST_CASE("a group joined for one source is not read from another source") {
  two_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    const interface& link = hosts.cable.far.link;
    auto at = hosts.listener();
    const ip_address all = group("ff35::8000:1");
    const ip_address near = hosts.cable.near.address;
    control_message from_near;
    from_near.source = near;
    from_near.interface_index = hosts.cable.near.link.index;
    from_near.hop_limit = 1;
    const auto send = [&](std::string_view text) -> task<> {
      const auto sent = co_await hosts.sender.write_to(as_payload(text), from_near, {all, 7777});
      REQUIRE(sent);
    };

    REQUIRE(at.join_source_specific_group(link, all, near));
    co_await send("wanted");
    co_await hosts.expect(at, "wanted");
    REQUIRE(at.leave_source_specific_group(link, all, near));
    REQUIRE(at.join_source_specific_group(link, all, group("2001:db8::99")));
    co_await send("unwanted");
    co_await hosts.send(hosts.cable.far.address, "unicast 1");
    co_await hosts.expect(at, "unicast 1");
    REQUIRE(at.leave_group(link, all));

    REQUIRE(at.join_group(link, all));
    REQUIRE(at.exclude_source_specific_group(link, all, near));
    co_await send("excluded");
    co_await hosts.send(hosts.cable.far.address, "unicast 2");
    co_await hosts.expect(at, "unicast 2");
    REQUIRE(at.include_source_specific_group(link, all, near));
    co_await send("included");
    co_await hosts.expect(at, "included");
  });
}

TEST_CASE("several conns listen at one multicast address, and each member gets its copy") {
  two_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    const interface& link = hosts.cable.far.link;
    auto first = hosts.listener("[ff02::114]:7777", {});
    auto second = hosts.listener("[ff02::114]:7777", {});
    REQUIRE(first.join_group(link, group("ff02::114")));
    REQUIRE(second.join_group(link, group("ff02::114")));
    co_await hosts.send(group("ff02::114"), "both");
    co_await hosts.expect(first, "both");
    co_await hosts.expect(second, "both");
  });
}

TEST_CASE("a group is joined while its link is down, and its datagrams arrive once the link is up") {
  two_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    const interface& link = hosts.cable.far.link;
    const ip_address all = group("ff05::114");
    auto at = hosts.listener();
    hosts.cable.far.space.run([&] { set_link(link.index, link_state::down); });
    REQUIRE(at.join_group(link, all));
    REQUIRE(at.join_source_specific_group(link, group("ff35::114"), hosts.cable.near.address));
    hosts.cable.far.space.run([&] { set_link(link.index, link_state::up); });
    const auto running = [](const veth_end& end) {
      return end.space.run([&] { return or_throw(interface::by_index(end.link.index)).is(interface_flags::running); });
    };
    REQUIRE(eventually([&] { return running(hosts.cable.near) && running(hosts.cable.far); }));
    co_await hosts.send(all, "up");
    co_await hosts.expect(at, "up");
  });
}

TEST_CASE("another host's solicited-node group is joined, and its solicitations arrive") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    const ip_address silent = group("2001:db8::abcd:4711");  // no host has it
    auto at = cable.far.space.run([&] { return or_throw(listen_packet(loop, "ip6:ipv6-icmp", "::")); });
    REQUIRE(at.set_control_message(control_flags::destination, true));
    icmp_filter solicitations;
    solicitations.set_all(true);
    solicitations.accept(icmp_type::neighbor_solicitation);
    REQUIRE(at.set_icmp_filter(solicitations));
    auto asker = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    // The solicitation of before the join is not read: it would come first.
    const auto before = co_await asker.write_to(as_payload("x"), {group("2001:db8::beef:4711"), 9});
    REQUIRE(before);
    REQUIRE(at.join_group(cable.far.link, silent.solicited_node()));
    const auto sent = co_await asker.write_to(as_payload("x"), {silent, 9});
    REQUIRE(sent);
    std::array<std::byte, 128> buffer;
    const auto got = co_await at.read_from(buffer);
    REQUIRE(got);
    CHECK(got->control.destination == silent.solicited_node());
    const auto message = or_throw(icmp::parse(got->payload));
    CHECK(std::get<icmp::neighbor_solicitation>(message.body).target == silent);
  });
}

TEST_CASE("closing leaves the groups") {
  two_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    const interface& link = hosts.cable.far.link;
    auto at = hosts.listener();
    REQUIRE(at.join_group(link, group("ff02::114")));
    const auto joined = [&] {
      return hosts.cable.far.space.run([&] {
        bool found = false;
        for (const auto& each : or_throw(link.groups())) found |= each.group.with_zone(0) == group("ff02::114");
        return found;
      });
    };
    CHECK(joined());
    REQUIRE(at.close());
    CHECK_FALSE(joined());
    co_return;
  });
}

TEST_CASE("a group of interface-local scope arrives on its host, and the multicast options choose the interface") {
  two_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    const interface& link = hosts.cable.near.link;
    const ip_address own = group("ff01::114");
    auto at = hosts.cable.near.space.run(
        [&] { return or_throw(listen_packet(hosts.loop, "udp6", "[::]:7777", {.reuse_address = true})); });
    REQUIRE(at.join_group(link, own));
    REQUIRE(at.set_control_message(all_control, true));

    REQUIRE(hosts.sender.set_multicast_interface(link));
    const auto sent = co_await hosts.sender.write_to(as_payload("host"), {own, 7777});
    REQUIRE(sent);
    const auto got = co_await at.read_from(hosts.buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "host");
    CHECK(got->control.destination == own);
    CHECK(got->control.interface_index == link.index);
  });
}

TEST_CASE("multicast options read back as they were set, and act") {
  two_hosts hosts;
  run(hosts.loop, [&]() -> task<> {
    auto& from = hosts.sender;
    const interface& link = hosts.cable.near.link;
    const auto inside = hosts.cable.near.space.enter();  // the interface has its name in this namespace
    CHECK_FALSE(or_throw(from.multicast_interface()));
    REQUIRE(from.set_multicast_interface(link));
    CHECK(or_throw(from.multicast_interface()) == link);
    REQUIRE(from.set_multicast_interface(std::nullopt));
    CHECK_FALSE(or_throw(from.multicast_interface()));
    interface nowhere = link;
    nowhere.index = 9999;
    CHECK(from.set_multicast_interface(nowhere).error() == errc::unknown_zone);
    REQUIRE(from.set_multicast_interface(link));

    CHECK(or_throw(from.multicast_hop_limit()) == 1);
    for (const int bad : {256, -1, -2, 1 << 20}) CHECK(from.set_multicast_hop_limit(bad).error() == errc::out_of_range);
    for (const int hops : {0, 1, 255, 9}) {
      REQUIRE(from.set_multicast_hop_limit(hops));
      CHECK(or_throw(from.multicast_hop_limit()) == hops);
    }

    auto member = hosts.listener();
    auto local = hosts.cable.near.space.run(
        [&] { return or_throw(listen_packet(hosts.loop, "udp6", "[::]:7777", {.reuse_address = true})); });
    const ip_address all = group("ff02::114");
    REQUIRE(member.join_group(hosts.cable.far.link, all));
    REQUIRE(local.join_group(link, all));
    REQUIRE(member.set_control_message(control_flags::hop_limit, true));

    CHECK(or_throw(from.multicast_loopback()));
    const auto send = [&](std::string_view text) -> task<> {
      const auto sent = co_await from.write_to(as_payload(text), {all, 7777});
      REQUIRE(sent);
    };
    co_await send("looped");
    co_await hosts.expect(local, "looped");
    auto got = co_await member.read_from(hosts.buffer);
    REQUIRE(got);
    CHECK(got->control.hop_limit == 9);

    REQUIRE(from.set_multicast_loopback(false));
    CHECK_FALSE(or_throw(from.multicast_loopback()));
    co_await send("not looped");
    co_await hosts.expect(member, "not looped");
    REQUIRE(from.set_multicast_loopback(true));
    co_await send("looped again");
    co_await hosts.expect(local, "looped again");  // no datagram came before it

    // With a hop limit of 0 the datagram does not leave the host.
    REQUIRE(from.set_multicast_hop_limit(0));
    co_await hosts.expect(member, "looped again");
    co_await send("stays");
    co_await hosts.expect(local, "stays");
    REQUIRE(from.set_multicast_hop_limit(std::nullopt));
    CHECK(or_throw(from.multicast_hop_limit()) == 1);
    co_await send("leaves");
    co_await hosts.expect(member, "leaves");
  });
}

}  // namespace
