// Error reports (MSG_ERRQUEUE): of the network and of this host, about datagrams that were sent.

#include <linux/net_tstamp.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <string>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/error_reports.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/icmp/type.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

TEST_CASE("an unconnected conn reads a report for each datagram to an endpoint without a listener") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    const endpoint there = nobody(loop);
    CHECK(at.error_reports() == false);
    reports room;
    CHECK(at.read_errors(room.all) == 0U);

    auto sent = co_await at.write_to(as_payload("unheard of"), there);
    REQUIRE(sent);
    CHECK(at.read_errors(room.all) == 0U);

    REQUIRE(at.set_error_reports(true));
    CHECK(at.error_reports() == true);
    sent = co_await at.write_to(as_payload("knock, knock"), there);
    REQUIRE(sent);
    co_await await_report(at);
    CHECK(at.read_errors(room.all) == 1U);
    const error_report& report = room.all[0];
    CHECK(report.error == std::errc::connection_refused);
    CHECK(report.origin == error_origin::icmp6);
    CHECK(static_cast<icmp_type>(report.type) == icmp_type::destination_unreachable);
    CHECK(report.code == 4);
    CHECK(report.info == 0);
    CHECK(report.offender == ip_address::loopback());
    CHECK(report.destination == there);
    CHECK(as_text(report.payload) == "knock, knock");
    CHECK_FALSE(report.truncated);
    CHECK(at.read_errors(room.all) == 0U);

    // Reading the reports has cleared the error: the conn goes on.
    auto to = open_conn(loop);
    sent = co_await at.write_to(as_payload("next"), name_of(to));
    CHECK(sent);
  });
}

TEST_CASE("several reports are read at once, in order, as far as there is room") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    REQUIRE(at.set_error_reports(true));
    const endpoint there = nobody(loop);
    reports room;
    std::vector<std::string> seen;
    for (int i = 0; i < 6; ++i) {
      const std::string text = "datagram " + std::to_string(i);
      const auto sent = co_await at.write_to(as_payload(text), there);
      CHECK(sent);
    }
    co_await await_report(at);
    CHECK(at.read_errors({}).error() == std::errc::invalid_argument);
    CHECK(at.read_errors(room.all) == 4U);
    for (const auto& each : room.all) seen.emplace_back(as_text(each.payload));
    // A short buffer cuts the quoted payload, no buffer takes none of it, and the rest of the report is there.
    room.all[0].buffer = std::span(room.memory[0]).first(4);
    room.all[1].buffer = {};
    room.all[2].error = std::make_error_code(std::errc::io_error);
    CHECK(at.read_errors(room.all) == 2U);
    CHECK(as_text(room.all[0].payload) == "data");
    CHECK(room.all[0].truncated);
    CHECK(room.all[1].payload.empty());
    CHECK(room.all[1].truncated);
    CHECK(room.all[1].destination == there);
    CHECK(room.all[2].error == std::errc::io_error);
    CHECK(seen == std::vector<std::string>{"datagram 0", "datagram 1", "datagram 2", "datagram 3"});
  });
}

TEST_CASE("an error that is reported also ends the waiting read, once, and no other operation") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    REQUIRE(at.set_error_reports(true));
    const endpoint there = nobody(loop);
    std::array<std::byte, 16> buffer;
    std::error_code seen;
    beside reader(loop, [&]() -> task<> {
      const auto got = co_await at.read_from(buffer);
      if (!got) seen = got.error();
    });
    co_await yield();
    auto sent = co_await at.write_to(as_payload("knock"), there);
    REQUIRE(sent);
    co_await reader.join();
    CHECK(seen == std::errc::connection_refused);

    // Unread reports hold nothing up, and cost no system calls while no datagram comes.
    auto other = open_conn(loop);
    beside waiting(loop, [&]() -> task<> {
      const auto got = co_await at.read_from(buffer);
      REQUIRE(got);
      CHECK(as_text(got->payload) == "data");
    });
    co_await sleep_for(std::chrono::milliseconds(1));
    const auto before = loop.stats();
    co_await sleep_for(std::chrono::milliseconds(100));
    CHECK(loop.stats().enters - before.enters < 10);
    CHECK(loop.stats().completions - before.completions < 10);
    sent = co_await other.write_to(as_payload("data"), name_of(at));
    REQUIRE(sent);
    co_await waiting.join();
    reports room;
    CHECK(at.read_errors(room.all) == 1U);
  });
}

TEST_CASE("a dual-stack conn reads a report for an IPv4 peer without a listener") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = or_throw(listen_packet(loop, "udp", "127.0.0.1:0"));
    REQUIRE(at.set_error_reports(true));
    const endpoint there = nobody(loop, "udp", "127.0.0.1:0");
    const auto sent = co_await at.write_to(as_payload("four"), there);
    REQUIRE(sent);
    co_await await_report(at);
    reports room;
    CHECK(at.read_errors(room.all) == 1U);
    const error_report& report = room.all[0];
    CHECK(report.error == std::errc::connection_refused);
    CHECK(report.origin == error_origin::icmp);
    CHECK(report.type == 3);
    CHECK(report.code == 3);
    CHECK(report.offender == ip_address::v4_mapped({127, 0, 0, 1}));
    CHECK(report.destination == there);
    CHECK(as_text(report.payload) == "four");

    REQUIRE(at.set_error_reports(false));
    CHECK(at.error_reports() == false);
    const auto unreported = co_await at.write_to(as_payload("five"), there);
    REQUIRE(unreported);
    CHECK(at.read_errors(room.all) == 0U);
  });
}

TEST_CASE("a datagram too long for the path is reported with the MTU, by this host and by a router") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    REQUIRE(at.set_error_reports(true));
    REQUIRE(at.set_dont_fragment(true));
    const std::vector<std::byte> longer(1500);
    const endpoint there{cable.far.address, 9};
    const auto refused = co_await at.write_to(longer, there);
    CHECK(refused.error() == std::errc::message_size);
    reports room;
    CHECK(at.read_errors(room.all) == 1U);
    CHECK(room.all[0].error == std::errc::message_size);
    CHECK(room.all[0].origin == error_origin::local);
    CHECK(room.all[0].info == 1500);
    CHECK_FALSE(room.all[0].offender);
    CHECK(room.all[0].destination == there);
    CHECK(room.all[0].payload.empty());

    // The far host is a router to a network with a narrow link behind it.
    const network_namespace behind;
    const ip_address beyond = or_throw(ip_address::parse("2001:db8:1::2"));
    cable.far.space.run([&] {
      write_sysctl("net/ipv6/conf/all/forwarding", "1");
      create_veth("narrow", behind, "end", 77);
      set_link(77, link_state::up);
      add_address(77, or_throw(ip_address::parse("2001:db8:1::1")), 64);
      write_sysctl("net/ipv6/conf/narrow/mtu", "1280");
      const bool routes = eventually([&] {
        const file_descriptor probe = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
        return connect_socket(probe.get(), {beyond, 9}).has_value();
      });
      REQUIRE(routes);
      return 0;
    });
    cable.near.space.run([&] {
      add_route(cable.near.link.index, beyond, 64, cable.far.address);
      return 0;
    });
    const std::vector<std::byte> wide(1400);
    const endpoint far_away{beyond, 9};
    const auto sent = co_await at.write_to(wide, far_away);
    REQUIRE(sent);
    co_await await_report(at);
    CHECK(at.read_errors(room.all) == 1U);
    CHECK(room.all[0].error == std::errc::message_size);
    CHECK(room.all[0].origin == error_origin::icmp6);
    CHECK(static_cast<icmp_type>(room.all[0].type) == icmp_type::packet_too_big);
    CHECK(room.all[0].info == 1280);
    CHECK(room.all[0].offender == cable.far.address);
    CHECK(room.all[0].destination == far_away);
    CHECK(room.all[0].payload.size() == 64);
    CHECK(room.all[0].truncated);
  });
}

TEST_CASE("a report without a destination is read, too: the time stamp of a sent datagram") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    auto to = open_conn(loop);
    const int flags = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_TSONLY;
    REQUIRE(::setsockopt(at.native_handle(), SOL_SOCKET, SO_TIMESTAMPING_NEW, &flags, sizeof flags) == 0);
    const auto sent = co_await at.write_to(as_payload("stamped"), name_of(to));
    REQUIRE(sent);
    co_await await_report(at);
    reports room;
    // Room that had another report before: nothing of it stays.
    room.all[0].destination = name_of(to);
    room.all[0].offender = ip_address::loopback();
    room.all[0].truncated = true;
    CHECK(at.read_errors(room.all) == 1U);
    CHECK(room.all[0].error == std::error_code(ENOMSG, std::system_category()));
    CHECK(static_cast<int>(room.all[0].origin) == 4);
    CHECK(room.all[0].destination == endpoint{});
    CHECK_FALSE(room.all[0].offender);
    CHECK_FALSE(room.all[0].truncated);
  });
}

TEST_CASE("a raw conn reads a report for an unknown next header, with its place in the packet") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    const ip_address& there = cable.far.address;
    auto at = cable.near.space.run([&] { return or_throw(listen_packet(loop, "ip6:253", "")); });
    REQUIRE(at.set_error_reports(true));
    // For fewer than eight octets the kernel ignores the ICMPv6 error.
    const auto sent = co_await at.write_to(as_payload("of eight octets"), {there, 0});
    REQUIRE(sent);
    co_await await_report(at);
    reports room;
    CHECK(at.read_errors(room.all) == 1U);
    const error_report& report = room.all[0];
    CHECK(report.error == std::errc::protocol_error);
    CHECK(report.origin == error_origin::icmp6);
    CHECK(static_cast<icmp_type>(report.type) == icmp_type::parameter_problem);
    CHECK(report.code == 1);
    CHECK(report.info == 6);  // the next header
    CHECK(report.offender == there);
    CHECK(report.destination == endpoint{there, 0});
    CHECK(as_text(report.payload) == "of eight octets");

    REQUIRE(at.close());
    CHECK(at.read_errors(room.all).error() == errc::closed);
    CHECK(at.read_errors({}).error() == errc::closed);
    CHECK(at.error_reports().error() == errc::closed);
    CHECK(at.set_error_reports(true).error() == errc::closed);
  });
}

}  // namespace
