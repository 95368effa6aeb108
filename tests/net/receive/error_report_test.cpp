// Error reports (MSG_ERRQUEUE): of the network and of this host, about datagrams that were sent.

#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cerrno>
#include <chrono>
#include <string>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/conns.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/descriptor.hpp"
#include "uring6/icmp/type.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

/// Room for some reports, each with a buffer.
struct reports {
  std::array<std::array<std::byte, 64>, 4> memory{};
  std::array<error_report, 4> all{};
  reports() {
    for (std::size_t i = 0; i < all.size(); ++i) all[i].buffer = memory[i];
  }
};

/// An endpoint of this host without a listener.
endpoint nobody(event_loop& loop, const char* network = "udp6", const char* address = "[::1]:0") {
  auto gone = or_throw(listen_packet(loop, network, address));
  return name_of(gone);
}

/// Waits until the conn has a report.
task<> await_report(packet_conn& of) {
  const auto found = co_await poll(of.native_handle(), poll_events::error);
  REQUIRE(found);
  CHECK(has_any(*found, poll_events::error));
}

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

/// A near host, and a far host that routes to a network behind it over a narrow link (MTU 1280).
struct narrow_path {
  veth_pair cable;
  network_namespace behind;
  ip_address beyond = or_throw(ip_address::parse("2001:db8:1::2"));

  narrow_path() {
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
    });
    cable.near.space.run([&] { add_route(cable.near.link.index, beyond, 64, cable.far.address); });
  }
};

TEST_CASE("a path MTU error that meets a train ends a read, and all datagrams of the train leave") {
  const narrow_path path;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = path.cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    REQUIRE(at.set_error_reports(true));
    const std::vector<std::byte> wide(1400);
    std::vector<outgoing> train(10, {wide, {}, {path.beyond, 9}, {}});
    auto sent = co_await at.write_batch(train);
    REQUIRE(sent);
    co_await await_report(at);
    SECTION("a read that waits") {
      std::error_code seen;
      beside reader(loop, [&]() -> task<> {
        std::array<std::byte, 16> buffer;
        const auto got = co_await at.read_from(buffer);
        if (!got) seen = got.error();
      });
      sent = co_await at.write_batch(train);
      CHECK(sent == train.size());
      co_await reader.join();
      CHECK(seen == std::errc::message_size);
    }
    SECTION("a later read") {
      sent = co_await at.write_batch(train);
      CHECK(sent == train.size());
      std::array<std::byte, 16> buffer;
      const auto got = co_await at.read_from(buffer);
      CHECK(got.error() == std::errc::message_size);
    }
    reports room;
    const auto count = at.read_errors(room.all);
    REQUIRE(count);
    REQUIRE(*count > 0);
    CHECK(room.all[0].info == 1280);
    CHECK(room.all[0].destination == endpoint{path.beyond, 9});
  });
}

/// Makes a report that waits in the socket's queue, and an error that a write has had: behind it none pends.
task<> leave_a_report(packet_conn& at, const endpoint& there) {
  REQUIRE(at.set_dont_fragment(true));
  const std::vector<std::byte> longer(1500);
  std::vector<outgoing> one{{longer, {}, there, {}}};
  const auto refused = co_await at.write_batch(one);
  CHECK(refused.error() == std::errc::message_size);
  REQUIRE(at.set_dont_fragment(false));
}

TEST_CASE(
    "the news of a path's MTU that meets a train ends one read, also of a connected conn, and behind old reports") {
  const bool connected = GENERATE(false, true);
  const bool behind_another = GENERATE(false, true);
  CAPTURE(connected, behind_another);
  const narrow_path path;
  const endpoint there{path.beyond, 9};
  event_loop loop;
  run(loop, [&]() -> task<> {
    const auto open = [&] {
      return path.cable.near.space.run([&] {
        return or_throw(connected ? dial_packet(loop, "udp6", there) : listen_packet(loop, "udp6", "[::]:0"));
      });
    };
    auto at = open();
    REQUIRE(at.set_error_reports(true));
    if (behind_another) co_await leave_a_report(at, there);
    const std::vector<std::byte> wide(1400);
    std::vector<outgoing> train(10, {wide, {}, there, {}});
    auto sent = co_await at.write_batch(train);
    REQUIRE(sent);
    REQUIRE(eventually([&] {
      return path.cable.near.space.run([&] { return or_throw(dial_packet(loop, "udp6", there)).path_mtu() == 1280U; });
    }));
    co_await await_report(at);

    sent = co_await at.write_batch(train);
    CHECK(sent == train.size());
    CHECK(at.stats().sent_datagrams == 2 * train.size());
    REQUIRE(at.set_read_deadline(std::chrono::steady_clock::now() + patience / 4));
    std::array<std::byte, 16> buffer;
    const auto got = co_await at.read_from(buffer);
    CHECK(got.error() == std::errc::message_size);
    // The path refuses trains now, which is no news.
    for (int i = 0; i < 3; ++i) {
      sent = co_await at.write_batch(train);
      CHECK(sent == train.size());
    }
    incoming room{buffer, {}};
    const auto more = co_await at.read_batch({&room, 1}, read_flags::dont_wait);
    CHECK(more.error() == std::errc::resource_unavailable_try_again);
    CHECK(at.stats().receive_errors == 1);
    reports kept;
    CHECK(at.read_errors(kept.all) == (behind_another ? 2U : 1U));
  });
}

TEST_CASE("an answer that pends while old reports wait ends a write of a connected conn, once") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = dial(loop, nobody(loop));
    REQUIRE(at.set_error_reports(true));
    reports kept;
    for (const bool batch : {false, true}) {
      CAPTURE(batch);
      auto sent = co_await at.write("heard by none");
      REQUIRE(sent);
      co_await await_report(at);
      if (batch) {
        std::vector<outgoing> train(4, {as_payload("next"), {}, {}, {}});
        const auto refused = co_await at.write_batch(train);
        REQUIRE(refused);
        CHECK(train[0].error == std::errc::connection_refused);
      } else {
        sent = co_await at.write("next");
        CHECK(sent.error() == std::errc::connection_refused);
      }
    }
    CHECK(at.stats().receive_errors == 0);
  });
}

TEST_CASE("errors that come while no read waits are each counted, and the last one ends a read") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    auto to = open_conn(loop);
    REQUIRE(at.set_error_reports(true));
    const endpoint there = nobody(loop);
    constexpr std::uint64_t errors = 3;
    for (std::uint64_t i = 0; i < errors; ++i) {
      auto sent = co_await at.write_to(as_payload("knock"), there);
      REQUIRE(sent);
      co_await await_report(at);
      sent = co_await at.write_to(as_payload("meets the error"), name_of(to));
      REQUIRE(sent);
      reports room;
      REQUIRE(at.read_errors(room.all) == 1U);
      CHECK(at.stats().receive_errors == i + 1);
    }
    std::array<std::byte, 16> buffer;
    const auto got = co_await at.read_from(buffer);
    CHECK(got.error() == std::errc::connection_refused);
    incoming room{buffer, {}};
    const auto more = co_await at.read_batch({&room, 1}, read_flags::dont_wait);
    CHECK(more.error() == std::errc::resource_unavailable_try_again);
    CHECK(at.stats().receive_errors == errors);
    CHECK(at.stats().failed_datagrams == 0);
  });
}

TEST_CASE("an error of another destination keeps no datagram from being sent, and ends a read") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    for (const bool ahead : {false, true}) {
      CAPTURE(ahead);
      auto at = open_conn(loop, {.coalesce_writes = ahead});
      auto to = open_conn(loop);
      REQUIRE(at.set_error_reports(true));
      const endpoint there = nobody(loop);
      constexpr std::uint64_t count = 200;
      for (std::uint64_t i = 0; i < count; ++i) {
        auto sent = co_await at.write_to(as_payload("knock"), there);
        REQUIRE(sent);
        sent = co_await at.write_to(numbered(i), name_of(to));
        REQUIRE(sent);
        const auto flushed = co_await at.flush();
        REQUIRE(flushed);
      }
      std::array<std::byte, 16> buffer;
      for (std::uint64_t i = 0; i < count; ++i) {
        const auto got = co_await to.read_from(buffer);
        REQUIRE(got);
        REQUIRE(number_in(got->payload) == i);
      }
      CHECK(at.stats().failed_datagrams == 0);
      const auto refused = co_await at.read_from(buffer);
      CHECK(refused.error() == std::errc::connection_refused);
      // A batch to the two destinations in turn.
      std::vector<outgoing> batch;
      const numbered last(count);
      for (int i = 0; i < 10; ++i) {
        batch.push_back({as_payload("knock"), {}, there, {}});
        batch.push_back({last, {}, name_of(to), {}});
      }
      const auto sent = co_await at.write_batch(batch);
      CHECK(sent == batch.size());
      const auto flushed = co_await at.flush();
      CHECK(flushed);
      for (int i = 0; i < 10; ++i) {
        const auto got = co_await to.read_from(buffer);
        REQUIRE(got);
        CHECK(number_in(got->payload) == count);
      }
    }
  });
}

TEST_CASE("the error of its own datagram ends a write on a conn that keeps reports, and no read") {
  const network_namespace space;
  const auto inside = space.enter();
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = or_throw(listen_packet(loop, "udp6", "[::]:0"));
    REQUIRE(at.set_error_reports(true));
    const auto sent = co_await at.write_to(as_payload("x"), {or_throw(ip_address::parse("2001:db8::9")), 9});
    CHECK(sent.error() == std::errc::network_unreachable);
    const auto self = co_await at.write_to(as_payload("self"), {ip_address::loopback(), name_of(at).port});
    REQUIRE(self);
    std::array<std::byte, 16> buffer;
    const auto got = co_await at.read_from(buffer);
    REQUIRE(got);
    CHECK(as_text(got->payload) == "self");
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
    CHECK(at.read_errors(room.all) == 1U);
    CHECK(room.all[0].error == std::error_code(ENOMSG, std::system_category()));
    CHECK(static_cast<int>(room.all[0].origin) == 4);
    CHECK(room.all[0].destination == endpoint{});
    CHECK_FALSE(room.all[0].offender);
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
