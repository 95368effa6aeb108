// The programs of examples/ beside their counterparts in Go.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <regex>
#include <string>
#include <vector>

#include "go_peer.hpp"
#include "support/process/program.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

TEST_CASE("the TCP server greets Go, over IPv6 and IPv4") {
  need_go();
  neighbours net;
  net.cable.far.space.run([&] { add_address(net.cable.far.link.index, ip_address::v4_mapped({192, 0, 2, 2}), 24); });
  const auto inside = net.cable.near.space.enter();
  add_address(net.cable.near.link.index, ip_address::v4_mapped({192, 0, 2, 1}), 24);
  const program server({EXAMPLE_MARK_TCP});
  for (const char* address : {"[2001:db8::1]:1024", "192.0.2.1:1024"}) {
    INFO(address);
    // The first visit waits until the server listens.
    const bool there = eventually([&] {
      return net.cable.far.space.run([&] { return run_program({GO_PEER, "visit", address}).exit_status == 0; });
    });
    REQUIRE(there);
    CHECK(net.start({"visit", address}).lines() == std::vector<std::string>{"HELLO-R-U-THERE-ACK"});
  }
}

TEST_CASE("the multicast DNS responder answers Go, by the interface of the question") {
  need_go();
  neighbours net;
  const std::string there = net.cable.far.link.name;
  const std::string link_local = net.cable.near.link_local.with_zone(0).to_string();
  const std::string asker = net.cable.far.link_local.with_zone(0).to_string();
  const auto inside = net.cable.near.space.enter();
  const program responder({EXAMPLE_MDNS_RESPONDER, net.cable.near.link.name, "host.local", "2001:db8::77"});
  CHECK(net.start({"ask", there, "host.local."}).lines() ==
        std::vector<std::string>{"host.local. is 2001:db8::77 dst=" + asker +
                                 " ifindex=" + std::to_string(net.cable.far.link.index) + " from [" + link_local + "%" +
                                 there + "]:5353"});
}

TEST_CASE("Go receives the hello of the OSPF advertiser, with its control message") {
  need_go();
  neighbours net;
  auto go = net.start({"receive", "ip6:89", "::", "join,ff02::5," + net.cable.far.link.name, "read,1"});
  go.port();
  const auto inside = net.cable.near.space.enter();
  const program advertiser({EXAMPLE_OSPF_HELLO, net.cable.near.link.name, "1"});
  const auto lines = go.lines();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].starts_with("03010024c0000201"));  // version 3, hello, 36 octets, router 192.0.2.1
  const std::string source = net.cable.near.link_local.with_zone(0).to_string();
  CHECK(lines[0].ends_with(" tclass=192 hoplim=1 src=" + source +
                           " dst=ff02::5 ifindex=" + std::to_string(net.cable.far.link.index) + " from " + source +
                           "%" + net.cable.far.link.name));
}

/// Each program's report about a hop: number, address, hop limit, source, destination and interface of the answer.
std::vector<std::string> hops_of(const std::string& output, const std::regex& line) {
  std::vector<std::string> hops;
  for (std::sregex_iterator at(output.begin(), output.end(), line), end; at != end; ++at) {
    std::string hop;
    for (std::size_t i = 1; i < at->size(); ++i) hop += (*at)[i].str() + ' ';
    hops.push_back(hop);
  }
  return hops;
}

TEST_CASE("traceroute reports the same hops as Go, and the same control messages") {
  need_go();
  neighbours net;
  const network_namespace beyond;
  net.cable.far.space.run([&] {
    create_veth("behind0", beyond, "beyond0");
    const auto link = or_throw(interface::by_name("behind0"));
    set_link(link.index, link_state::up);
    add_address(link.index, parse("2001:db8:2::1"), 64);
    write_sysctl("net/ipv6/conf/all/forwarding", "1");
  });
  beyond.run([&] {
    const auto link = or_throw(interface::by_name("beyond0"));
    set_link(link.index, link_state::up);
    add_address(link.index, parse("2001:db8:2::2"), 64);
    add_route(link.index, parse("2001:db8::"), 64, parse("2001:db8:2::1"));
  });
  const auto inside = net.cable.near.space.enter();
  add_route(net.cable.near.link.index, parse("2001:db8:2::"), 64, net.cable.far.address);
  // The first packets of a new interface may be lost.
  program_end ours;
  REQUIRE(eventually(
      [&] {
        ours = run_program({EXAMPLE_TRACEROUTE, "2001:db8:2::2"});
        return ours.exit_status == 0 && ours.output.find('*') == std::string::npos;
      },
      std::chrono::seconds(30)));
  const program_end go = run_program({GO_PEER, "trace", "2001:db8:2::2"});
  CHECK(go.errors == "");
  const std::string control = "hoplim=(\\d+) src=(\\S+) dst=(\\S+) ifindex=(\\d+)";
  const auto expected = hops_of(go.output, std::regex("(\\d+) (\\S+) \\[.*?\\] tclass=\\S+ " + control));
  CHECK(expected.size() == 2);
  CHECK(hops_of(ours.output, std::regex("(\\d+) (\\S+) .*\\n\\t" + control)) == expected);
}

}  // namespace
