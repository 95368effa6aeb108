// The four programs of Go's documentation at work, against peers that are none of the library's.
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "support/eventually.hpp"
#include "support/link_control.hpp"
#include "support/packet_capture.hpp"
#include "support/program.hpp"
#include "support/veth_pair.hpp"
#include "sys/socket.hpp"
#include "uring6/checksum.hpp"
#include "uring6/header.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

ip_address parse(const char* text) { return or_throw(ip_address::parse(text)); }

void end(program& running) {
  running.send_signal(SIGTERM);
  const program_end how = running.wait();
  CHECK(how.signal == SIGTERM);
  CHECK(how.errors.empty());
}

bool has_joined(const interface& link, const ip_address& group) {
  const auto groups = or_throw(link.groups());
  return std::ranges::any_of(groups, [&](const auto& each) { return each.group.with_zone(0) == group; });
}

TEST_CASE("the TCP server marks its connections AF11") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  program server({EXAMPLE_MARK_TCP, "[::]:1024"});
  packet_capture wire(cable.far);
  for (int i = 0; i < 2; ++i) {
    cable.far.space.run([&] {
      file_descriptor client;
      // The server is there when it can be connected to.
      const bool there = eventually([&] {
        client = or_throw(open_socket(AF_INET6, SOCK_STREAM));
        return connect_socket(client.get(), {cable.near.address, 1024}).has_value();
      });
      REQUIRE(there);
      std::string heard;
      std::array<char, 64> buffer{};
      for (ssize_t got = 1; got > 0;) {
        got = ::recv(client.get(), buffer.data(), buffer.size(), 0);
        if (got > 0) heard.append(buffer.data(), static_cast<std::size_t>(got));
      }
      CHECK(heard == "HELLO-R-U-THERE-ACK");
    });
    const auto seen = wire.find([](const packet& p) {
      const std::string_view all(reinterpret_cast<const char*>(p.data()), p.size());
      return p[6] == IPPROTO_TCP && all.find("HELLO") != all.npos;
    });
    REQUIRE(seen);
    const header fixed = or_throw(header::parse(std::as_bytes(std::span(*seen))));
    CHECK(fixed.traffic_class == 0x28);
    CHECK(fixed.hop_limit == 128);
  }
  end(server);
}

/// What comes to a plain socket, within a minute.
std::string receive(const file_descriptor& from, endpoint& source) {
  pollfd readable{from.get(), POLLIN, 0};
  REQUIRE(::poll(&readable, 1, 60'000) == 1);
  std::array<char, 1500> buffer{};
  sockaddr_in6 name{};
  socklen_t length = sizeof name;
  const ssize_t got =
      ::recvfrom(from.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&name), &length);
  REQUIRE(got >= 0);
  source = endpoint::from_sockaddr(name);
  return {buffer.data(), static_cast<std::size_t>(got)};
}

TEST_CASE("the multicast DNS responder answers who asks its group for its name, and nobody else") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  program responder({EXAMPLE_MDNS_RESPONDER, cable.near.link.name, "Host.local", "2001:db8::77"});
  REQUIRE(eventually([&] { return has_joined(cable.near.link, parse("ff02::fb")); }));

  const auto there = cable.far.space.enter();
  const file_descriptor client = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  const auto ask = [&](const ip_address& whom, std::string_view id, std::string_view name, char type = 0x1c) {
    std::string query(id);
    query += std::string_view("\0\0\0\1\0\0\0\0\0\0", 10);
    query += name;
    query += std::string("\0", 1) + type + std::string("\0\1", 2);
    const sockaddr_in6 to = endpoint{whom, 5353}.to_sockaddr();
    REQUIRE(::sendto(client.get(), query.data(), query.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) ==
            std::ssize(query));
  };
  const ip_address group = parse("ff02::fb").with_zone(cable.far.link.index);
  constexpr std::string_view name("\4hOsT\5local\0", 12);
  // None of these is answered: to the host itself, for another name, another type, cut short.
  ask(cable.near.address, "a1", name);
  ask(group, "a2", std::string_view("\5other\5local\0", 13));
  ask(group, "a3", name, 1);
  ask(group, "a4", name.substr(0, 5));
  ask(group, "ok", name);
  endpoint source;
  const std::string got = receive(client, source);
  CHECK(source == endpoint{cable.near.link_local.with_zone(cable.far.link.index), 5353});
  CHECK(got.substr(0, 2) == "ok");
  CHECK(got.substr(2, 10) == std::string_view("\x84\0\0\1\0\1\0\0\0\0", 10));
  CHECK(got.substr(12, name.size()) == name);
  const auto bytes = parse("2001:db8::77").bytes();
  CHECK(got.substr(got.size() - 16) == std::string_view(reinterpret_cast<const char*>(bytes.data()), 16));
  end(responder);
}

TEST_CASE("the OSPF advertiser says hello to all routers of its link, again and again") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  packet_capture wire(cable.far);
  program advertiser({EXAMPLE_OSPF_HELLO, cable.near.link.name, "1"});
  for (int i = 0; i < 2; ++i) {
    const auto seen = wire.find([](const packet& p) { return p[6] == 89; });
    REQUIRE(seen);
    const auto whole = std::as_bytes(std::span(*seen));
    const header fixed = or_throw(header::parse(whole));
    CHECK(fixed.traffic_class == 0xc0);
    CHECK(fixed.hop_limit == 1);
    CHECK(fixed.source == cable.near.link_local.with_zone(0));
    CHECK(fixed.destination == parse("ff02::5"));
    const auto hello = whole.subspan(40);
    REQUIRE(hello.size() == 40);
    CHECK(hello[0] == std::byte{3});
    CHECK(hello[1] == std::byte{1});
    CHECK(upper_layer_checksum(hello, fixed.source, fixed.destination, ip_protocol::ospf) == 0);
  }
  CHECK(has_joined(cable.near.link, parse("ff02::5")));
  end(advertiser);
}

TEST_CASE("traceroute names the router and the host, and says what cannot be reached") {
  // near - far, the router - beyond
  const veth_pair cable;
  const network_namespace beyond;
  const ip_address host = parse("2001:db8:2::2");
  const ip_address router_behind = parse("2001:db8:2::1");
  cable.far.space.run([&] {
    create_veth("behind0", beyond, "beyond0");
    const auto link = or_throw(interface::by_name("behind0"));
    set_link(link.index, link_state::up);
    add_address(link.index, router_behind, 64);
    write_sysctl("net/ipv6/conf/all/forwarding", "1");
  });
  beyond.run([&] {
    const auto link = or_throw(interface::by_name("beyond0"));
    set_link(link.index, link_state::up);
    add_address(link.index, host, 64);
    add_route(link.index, parse("2001:db8::"), 64, router_behind);
  });
  const auto inside = cable.near.space.enter();
  add_route(cable.near.link.index, parse("2001:db8:2::"), 64, cable.far.address);
  add_route(cable.near.link.index, parse("2001:db8:3::"), 64, cable.far.address);

  const auto trace = [&](const std::string& to, int status) {
    const program_end how = run_program({EXAMPLE_TRACEROUTE, to});
    CHECK(how.exit_status == status);
    CHECK(how.errors.empty());
    std::vector<std::string> lines;
    std::istringstream all(how.output);
    for (std::string line; std::getline(all, line);) lines.push_back(line);
    return lines;
  };
  // An interface that is just up may lose the first ones.
  std::vector<std::string> lines;
  REQUIRE(eventually([&] {
    lines = trace(host.to_string(), 0);
    return lines.size() == 3;
  }));
  CHECK(lines[0] == "to 2001:db8:2::2");
  CHECK(lines[1].starts_with("1 2001:db8::2 "));
  CHECK(lines[1].ends_with(" ms"));
  CHECK(lines[2].starts_with("2 2001:db8:2::2 "));

  lines = trace(cable.far.address.to_string(), 0);
  REQUIRE(lines.size() == 2);
  CHECK(lines[1].starts_with("1 2001:db8::2 "));

  lines = trace("2001:db8:3::1", 1);  // the router has no route
  REQUIRE_FALSE(lines.empty());
  CHECK(lines.back().ends_with(" unreachable"));
}

}  // namespace
