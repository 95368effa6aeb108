// conn: the IPv6 options of TCP, UDP and raw sockets.

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "support/case/coroutines.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/packet_capture.hpp"
#include "sys/socket/socket.hpp"
#include "sys/socket/socket_options.hpp"
#include "uring6/header.hpp"
#include "uring6/ip_options.hpp"
#include "uring6/tcp.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

TEST_CASE("the options of a socket read back on TCP, UDP and raw sockets") {
  const network_namespace space;
  event_loop loop;
  const auto inside = space.enter();
  run(loop, [&]() -> task<> {
    auto listener = or_throw(listen_tcp(loop, "tcp6", "[::1]:0"));
    const std::string name = or_throw(listener.local_endpoint()).to_string();
    auto tcp = co_await dial_tcp(loop, "tcp6", name);
    REQUIRE(tcp);
    auto udp = or_throw(listen_packet(loop, "udp6", "[::1]:0"));
    auto raw = or_throw(listen_packet(loop, "ip6:253", "::1"));
    CHECK(or_throw(ip_options(*tcp).path_mtu()) == 65'536);
    for (const ip_options& each : {ip_options(*tcp), ip_options(listener), ip_options(udp), ip_options(raw)}) {
      for (const int value : {0, 4, 0x28, 0xfc}) {
        REQUIRE(each.set_traffic_class(value));
        CHECK(or_throw(each.traffic_class()) == value);
      }
      for (const int value : {0, 1, 128, 255}) {
        REQUIRE(each.set_hop_limit(value));
        CHECK(or_throw(each.hop_limit()) == value);
      }
      for (const int bad : {256, -1, -2}) {
        CHECK(each.set_traffic_class(bad).error() == errc::out_of_range);
        CHECK(each.set_hop_limit(bad).error() == errc::out_of_range);
      }
      REQUIRE(each.set_traffic_class(std::nullopt));
      CHECK(or_throw(each.traffic_class()) == 0);
      REQUIRE(each.set_hop_limit(std::nullopt));
      CHECK(or_throw(each.hop_limit()) == 64);
    }
    // TCP sets the ECN bits of a stream itself.
    REQUIRE(ip_options(*tcp).set_traffic_class(0x2b));
    CHECK(or_throw(ip_options(*tcp).traffic_class()) == 0x28);

    CHECK(ip_options(udp).path_mtu().error() == std::errc::not_connected);
    CHECK(ip_options(raw).path_mtu().error() == std::errc::not_connected);
    auto dialed = dial(loop, name_of(udp));
    CHECK(or_throw(ip_options(dialed).path_mtu()) == 65'536);
  });
}

TEST_CASE("a change of the traffic class clears the cached route, and its MTU, until the next send") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto at = open_conn(loop);
    auto dialed = dial(loop, name_of(at));
    CHECK(or_throw(ip_options(dialed).path_mtu()) == 65'536);
    REQUIRE(ip_options(dialed).set_traffic_class(0x28));
    CHECK(ip_options(dialed).path_mtu().error() == std::errc::not_connected);
    CHECK(dialed.path_mtu().error() == std::errc::not_connected);
    const auto sent = co_await dialed.write(as_payload("x"));
    REQUIRE(sent);
    CHECK(or_throw(ip_options(dialed).path_mtu()) == 65'536);
    // Setting the same traffic class again changes nothing.
    REQUIRE(ip_options(dialed).set_traffic_class(0x28));
    CHECK(or_throw(ip_options(dialed).path_mtu()) == 65'536);
  });
}

TEST_CASE("ip_options names the reason why a descriptor is no IPv6 socket") {
  event_loop loop;
  auto udp = open_conn(loop);
  REQUIRE(udp.close());
  for (const ip_options& each : {ip_options(udp), ip_options(tcp_conn()), ip_options(-1)}) {
    CHECK(each.traffic_class().error() == errc::closed);
    CHECK(each.set_traffic_class(0).error() == errc::closed);
    CHECK(each.hop_limit().error() == errc::closed);
    CHECK(each.set_hop_limit(1).error() == errc::closed);
    CHECK(each.path_mtu().error() == errc::closed);
  }
  std::array<int, 2> pipe{};
  REQUIRE(::pipe(pipe.data()) == 0);
  const file_descriptor reading(pipe[0]);
  const file_descriptor writing(pipe[1]);
  CHECK(ip_options(reading.get()).traffic_class().error() == std::errc::not_a_socket);
  CHECK(ip_options(reading.get()).set_hop_limit(1).error() == std::errc::not_a_socket);
  const file_descriptor v4 = or_throw(open_socket(AF_INET, SOCK_DGRAM));
  CHECK(ip_options(v4.get()).set_traffic_class(0).error() == std::errc::no_protocol_option);
  CHECK(ip_options(v4.get()).hop_limit().error() == std::errc::operation_not_supported);  // getsockopt's own error
}

TEST_CASE("the options that ip_options sets appear in the packets of a TCP connection") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = cable.near.space.run([&] { return or_throw(listen_tcp(loop, "tcp6", "[::]:0")); });
    const endpoint name{cable.near.address, or_throw(listener.local_endpoint()).port};
    const auto inside = cable.far.space.enter();
    const std::string text = name.to_string();
    auto client = co_await dial_tcp(loop, "tcp6", text);
    REQUIRE(client);
    auto server = co_await listener.accept();
    REQUIRE(server);
    CHECK(or_throw(ip_options(*server).path_mtu()) == cable.near.link.mtu);
    packet_capture wire(cable.far);
    REQUIRE(ip_options(*server).set_traffic_class(0x28));
    REQUIRE(ip_options(*server).set_hop_limit(128));
    const auto sent = co_await server->write(as_payload("marked"));
    REQUIRE(sent);
    const auto seen = wire.find([](const test::packet& p) {
      const std::string_view all(reinterpret_cast<const char*>(p.data()), p.size());
      return p[6] == IPPROTO_TCP && all.find("marked") != all.npos;
    });
    REQUIRE(seen);
    const ipv6_header fixed = or_throw(ipv6_header::parse(std::as_bytes(std::span(*seen))));
    CHECK(fixed.traffic_class == 0x28);
    CHECK(fixed.hop_limit == 128);
  });
}

TEST_CASE("towards an IPv4 peer ip_options sets the options of IPv4") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = or_throw(listen_tcp(loop, "tcp", "[::]:0"));
    const std::string to = "127.0.0.1:" + std::to_string(or_throw(listener.local_endpoint()).port);
    auto here = co_await dial_tcp(loop, "tcp", to);
    REQUIRE(here);
    const ip_options options(*here);
    REQUIRE(options.set_traffic_class(0x28));
    REQUIRE(options.set_hop_limit(77));
    CHECK(or_throw(options.traffic_class()) == 0x28);
    CHECK(or_throw(options.hop_limit()) == 77);
    CHECK(or_throw(get_option(here->native_handle(), option::v4_traffic_class)) == 0x28);
    CHECK(or_throw(get_option(here->native_handle(), option::v4_hop_limit)) == 77);
  });
}

}  // namespace
