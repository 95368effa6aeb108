// The four programs of Go's documentation, against peers without the library, and those of the guide.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "examples/plain_socket.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/private_files.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/process/program.hpp"
#include "support/traffic/packet_capture.hpp"
#include "sys/multicast/membership.hpp"
#include "sys/socket/socket.hpp"
#include "sys/socket/socket_options.hpp"
#include "uring6/checksum.hpp"
#include "uring6/header.hpp"
#include "uring6/icmp.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

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

/// The number of code lines of a program, without comments and empty lines.
std::size_t lines_of_code(const char* path) {
  std::ifstream source(path);
  std::size_t count = 0;
  for (std::string line; std::getline(source, line);) {
    const std::size_t first = line.find_first_not_of(' ');
    if (first != line.npos && line.substr(first, 2) != "//") ++count;
  }
  return count;
}

/// Connects to the server from the far end, reads to the end, and returns the octets. Waits until the server listens.
std::string visit(const veth_end& from, const endpoint& server) {
  const auto inside = from.space.enter();
  file_descriptor client;
  REQUIRE(eventually([&] {
    client = or_throw(open_socket(AF_INET6, SOCK_STREAM));
    return connect_socket(client.get(), server).has_value();
  }));
  std::string heard;
  std::array<char, 64> buffer{};
  for (ssize_t got = 1; got > 0;) {
    got = ::recv(client.get(), buffer.data(), buffer.size(), 0);
    if (got > 0) heard.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return heard;
}

bool greets(const packet& p) {
  const std::string_view all(reinterpret_cast<const char*>(p.data()), p.size());
  return all.find("HELLO") != all.npos;
}

TEST_CASE("a file is read by operations of the program's own") {
  const program_end read = run_program({EXAMPLE_READ_FILE, EXAMPLE_MARK_TCP_SOURCE});
  std::ifstream source(EXAMPLE_MARK_TCP_SOURCE);
  CHECK(read.output == std::string(std::istreambuf_iterator<char>(source), {}));
  CHECK(read.errors.empty());
  const program_end missing = run_program({EXAMPLE_READ_FILE, "/no/such/file"});
  CHECK(missing.errors == "read_file /no/such/file: No such file or directory\n");
}

TEST_CASE("the TCP server marks its connections AF11") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  program server({EXAMPLE_MARK_TCP});
  packet_capture wire(cable.far);
  for (int i = 0; i < 2; ++i) {
    CHECK(visit(cable.far, {cable.near.address, 1024}) == "HELLO-R-U-THERE-ACK");
    const auto seen = wire.find(greets);
    REQUIRE(seen);
    const ipv6_header fixed = or_throw(ipv6_header::parse(std::as_bytes(std::span(*seen))));
    CHECK(fixed.traffic_class == 0x28);
    CHECK(fixed.hop_limit == 128);
  }
  end(server);
}

TEST_CASE("the TCP server marks the connections of IPv4 peers, too") {
  const veth_pair cable;
  const ip_address address = ip_address::v4_mapped({192, 0, 2, 1});
  cable.far.space.run([&] { add_address(cable.far.link.index, ip_address::v4_mapped({192, 0, 2, 2}), 24); });
  const auto inside = cable.near.space.enter();
  add_address(cable.near.link.index, address, 24);
  program server({EXAMPLE_MARK_TCP});
  packet_capture wire(cable.far, ETH_P_IP);
  CHECK(visit(cable.far, {address, 1024}) == "HELLO-R-U-THERE-ACK");
  const auto seen = wire.find(greets);
  REQUIRE(seen);
  CHECK((*seen)[1] == 0x28);  // TOS
  CHECK((*seen)[8] == 128);   // TTL
  end(server);
}

TEST_CASE("the TCP server is twenty lines") {
  CHECK(lines_of_code(EXAMPLE_MARK_TCP_SOURCE) <= 20);
}

int interval_at(std::span<const std::byte> hello, std::size_t at) {
  return std::to_integer<int>(hello[at]) << 8 | std::to_integer<int>(hello[at + 1]);
}

TEST_CASE("the OSPF advertiser sends intervals of more than an octet, and refuses those that do not fit the field") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  packet_capture wire(cable.far);
  program advertiser({EXAMPLE_OSPF_HELLO, cable.near.link.name, "16383"});
  const auto seen = wire.find([](const packet& p) { return p[6] == 89; });
  REQUIRE(seen);
  const auto hello = std::as_bytes(std::span(*seen)).subspan(40);
  REQUIRE(hello.size() >= 28);
  CHECK(interval_at(hello, 24) == 16383);
  CHECK(interval_at(hello, 26) == 65532);
  end(advertiser);
  for (const std::string refused : {"16384", "0", "-1", "soon"}) {
    CHECK(run_program({EXAMPLE_OSPF_HELLO, cable.near.link.name, refused}).errors ==
          "ospf_hello: " + refused + ": the interval is 1 to 16383 seconds\n");
  }
}

TEST_CASE("the OSPF advertiser sends its hello to all routers of its link, periodically") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  packet_capture wire(cable.far);
  // A router at the other end, which verifies the checksum (RFC 5340, A.3.1).
  const file_descriptor router = cable.far.space.run([&] {
    file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_RAW, 89));
    or_throw(set_option(fd.get(), option::checksum, 12));
    or_throw(join_group(fd.get(), cable.far.link.index, parse("ff02::5")));
    return fd;
  });
  program advertiser({EXAMPLE_OSPF_HELLO, cable.near.link.name, "1"});
  for (int i = 0; i < 2; ++i) {
    const auto seen = wire.find([](const packet& p) { return p[6] == 89; });
    REQUIRE(seen);
    const auto whole = std::as_bytes(std::span(*seen));
    const ipv6_header fixed = or_throw(ipv6_header::parse(whole));
    CHECK(fixed.traffic_class == 0xc0);
    CHECK(fixed.hop_limit == 1);
    CHECK(fixed.source == cable.near.link_local.with_zone(0));
    CHECK(fixed.destination == parse("ff02::5"));
    const auto hello = whole.subspan(40);
    REQUIRE(hello.size() == 36);  // no neighbors behind the fixed part
    CHECK(hello[0] == std::byte{3});
    CHECK(hello[1] == std::byte{1});
    CHECK(hello[3] == std::byte{36});
    CHECK(interval_at(hello, 24) == 1);
    CHECK(interval_at(hello, 26) == 4);
    endpoint source;
    const std::string heard = receive(router, source);
    CHECK(source.address == cable.near.link_local.with_zone(cable.far.link.index));
    CHECK(std::ranges::equal(std::as_bytes(std::span(heard)), hello));
    CHECK(upper_layer_checksum(hello, fixed.source, fixed.destination, ip_protocol::ospf) == 0);
  }
  CHECK(has_joined(cable.near.link, parse("ff02::5")));
  end(advertiser);
}

/// near - far, the router - beyond
struct routed_network {
  veth_pair cable;
  network_namespace beyond;
  ip_address host = parse("2001:db8:2::2");
  network_namespace::visit inside = cable.near.space.enter();

  routed_network() {
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
    add_route(cable.near.link.index, parse("2001:db8:2::"), 64, cable.far.address);
    add_route(cable.near.link.index, parse("2001:db8:3::"), 64, cable.far.address);
    // The first packets of a new interface may be lost.
    const auto traced = [&] { return run_program({EXAMPLE_TRACEROUTE, host.to_string()}).output; };
    const bool whole = eventually([&] { return traced().find('*') == std::string::npos; }, std::chrono::seconds(30));
    if (!whole) throw std::runtime_error("the network does not come up");
  }

  /// Starts traceroute with these names only.
  static program_settings knowing_names() {
    return {.prepare = [] { use_hosts("2001:db8::2 router.example\n2001:db8:2::2 host.example\n"); }};
  }
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream all(text);
  for (std::string line; std::getline(all, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> trace(const std::string& to, int status) {
  const program_end how = run_program({EXAMPLE_TRACEROUTE, to}, routed_network::knowing_names());
  CHECK(how.exit_status == status);
  CHECK(how.errors.empty());
  return lines_of(how.output);
}

TEST_CASE("traceroute names the router and the host, and the name that is unknown") {
  if (!can_have_private_files()) SKIP(no_private_files);
  const routed_network net;
  const std::string index = std::to_string(net.cable.near.link.index);
  const std::string to_us = " dst=2001:db8::1 ifindex=" + index;
  std::vector<std::string> lines = trace("host.example", 0);
  REQUIRE(lines.size() == 5);
  CHECK(lines[0] == "to 2001:db8:2::2");
  CHECK(lines[1].starts_with("1 2001:db8::2 (router.example) "));
  CHECK(lines[1].ends_with(" ms"));
  CHECK(lines[2] == "\thoplim=64 src=2001:db8::2" + to_us);
  CHECK(lines[3].starts_with("2 2001:db8:2::2 (host.example) "));
  CHECK(lines[4] == "\thoplim=63 src=2001:db8:2::2" + to_us);

  lines = trace(net.cable.far.address.to_string(), 0);
  REQUIRE(lines.size() == 3);
  CHECK(lines[1].starts_with("1 2001:db8::2 (router.example) "));

  const program_end how = run_program({EXAMPLE_TRACEROUTE, "nobody.example"}, routed_network::knowing_names());
  CHECK(how.exit_status == 1);
  CHECK(how.errors.find("nobody.example: no such host name") != std::string::npos);
}

/// The last hop in traceroute's output if the path ends before the host: its address, and the mark of the reason.
std::string end_of_way(const std::string& to) {
  const std::vector<std::string> lines = trace(to, 1);
  REQUIRE(lines.size() >= 3);
  const std::string& hop = lines[lines.size() - 2];
  const std::size_t took = hop.find(") ");
  const std::size_t mark = hop.find(" ms");
  REQUIRE(took != hop.npos);
  REQUIRE(mark != hop.npos);
  return hop.substr(0, took + 1) + hop.substr(mark + 3);
}

TEST_CASE("traceroute marks a router that has no route, prohibits or finds no neighbor") {
  if (!can_have_private_files()) SKIP(no_private_files);
  const routed_network net;
  net.cable.far.space.run([&] {
    add_dead_route(dead_route::prohibit, parse("2001:db8:3::2"), 128);
    write_sysctl("net/ipv6/neigh/behind0/retrans_time_ms", "100");  // the kernel asks thrice for a neighbor
  });
  CHECK(end_of_way("2001:db8:3::1") == "1 2001:db8::2 (router.example) !N");
  CHECK(end_of_way("2001:db8:3::2") == "1 2001:db8::2 (router.example) !X");
  CHECK(end_of_way("2001:db8:2::3") == "2 2001:db8::2 (router.example) !A");
}

TEST_CASE("traceroute marks a host that does not support the protocol") {
  if (!can_have_private_files()) SKIP(no_private_files);
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  packet_capture wire(cable.far);
  // No Linux host refuses ICMPv6, so the test sends the refusal itself.
  const file_descriptor host = cable.far.space.run([] {
    write_sysctl("net/ipv6/icmp/echo_ignore_all", "1");
    return or_throw(open_socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
  });
  program running({EXAMPLE_TRACEROUTE, cable.far.address.to_string()}, routed_network::knowing_names());
  const auto request = wire.find([](const packet& p) { return p[6] == 58 && p[40] == 128; });
  REQUIRE(request);
  const icmp::parameter_problem refusal{.code = icmp::parameter_problem_code::unrecognized_next_header,
                                        .pointer = 6,
                                        .data = std::as_bytes(std::span(*request))};
  std::array<std::byte, 1280> area{};
  const std::size_t length = or_throw(icmp::encode(refusal, area));
  const sockaddr_in6 to = endpoint{cable.near.address, 0}.to_sockaddr();
  REQUIRE(::sendto(host.get(), area.data(), length, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) ==
          static_cast<ssize_t>(length));
  const program_end how = running.wait();
  CHECK(how.exit_status == 1);
  const std::vector<std::string> lines = lines_of(how.output);
  REQUIRE(lines.size() == 3);
  CHECK(lines[1].starts_with("1 2001:db8::2 (router.example) "));
  CHECK(lines[1].ends_with(" ms !P"));
}

TEST_CASE("traceroute waits for a silent router's deadline, reports it and goes on") {
  if (!can_have_private_files()) SKIP(no_private_files);
  const routed_network net;
  net.beyond.run([] { write_sysctl("net/ipv6/icmp/echo_ignore_all", "1"); });
  program_settings settings = routed_network::knowing_names();
  std::string said = "/tmp/uring6-trace-XXXXXX";
  const file_descriptor file(::mkstemp(said.data()));
  REQUIRE(file);
  settings.output_file = said;
  program running({EXAMPLE_TRACEROUTE, net.host.to_string()}, settings);
  const auto lines = [&] {
    std::ifstream in(said);
    return lines_of({std::istreambuf_iterator<char>(in), {}});
  };
  REQUIRE(eventually([&] { return std::ranges::count(lines(), "2 *") == 1; }, std::chrono::seconds(30)));
  net.beyond.run([] { write_sysctl("net/ipv6/icmp/echo_ignore_all", "0"); });
  const program_end how = running.wait();
  CHECK(how.exit_status == 0);
  CHECK(how.errors.empty());
  const std::vector<std::string> all = lines();
  (void)::unlink(said.c_str());
  REQUIRE(all.size() >= 6);
  CHECK(all[1].starts_with("1 2001:db8::2 "));
  CHECK(all[3] == "2 *");
  CHECK(all[all.size() - 2].find(" 2001:db8:2::2 (host.example) ") != std::string::npos);
}

}  // namespace
