// The examples beside common daemons and tools: Avahi, bird and tcpdump.
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <string>

#include "interop/daemons.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

/// The output of avahi-resolve for a name that it finds.
std::string found(const std::string& name, const std::string& address) {
  return name + "\t" + address + "\n";
}

TEST_CASE("Avahi finds the name of the multicast DNS responder, and forgets it when the responder ends") {
  const veth_pair cable;
  const avahi far(cable.far);
  program responder = [&] {
    const auto inside = cable.near.space.enter();
    return program({EXAMPLE_MDNS_RESPONDER, cable.near.link.name, "host.local", "2001:db8::77"});
  }();
  REQUIRE(eventually([&] { return far.resolve("host.local").output == found("host.local", "2001:db8::77"); },
                     std::chrono::seconds(30)));
  responder.send_signal(SIGTERM);
  const program_end how = responder.wait();
  CHECK(how.exit_status == 0);
  CHECK(how.errors == "");
  // A second after a goodbye the record is gone (RFC 6762, 10.1).
  CHECK(eventually([&] { return far.resolve("host.local").output.empty(); }, std::chrono::seconds(30)));
}

TEST_CASE("the multicast DNS responder leaves a name to the Avahi that has it") {
  const veth_pair cable;
  const avahi far(cable.far);
  const auto inside = cable.near.space.enter();
  const program_end how = run_program({EXAMPLE_MDNS_RESPONDER, cable.near.link.name, "asker.local", "2001:db8::77"});
  CHECK(how.exit_status == 1);
  CHECK(how.errors == "mdns_responder: another host has the name\n");
}

TEST_CASE("bird sees the OSPF advertiser as a neighbor that has not received a hello of bird yet") {
  const veth_pair cable;
  const bird far(cable.far);
  const auto inside = cable.near.space.enter();
  const program advertiser({EXAMPLE_OSPF_HELLO, cable.near.link.name, "1"});
  std::string line;
  const bool heard = eventually(
      [&] {
        const std::string all = far.neighbors();
        const std::size_t at = all.find("\n192.0.2.1");
        line = at == all.npos ? "" : all.substr(at + 1, all.find('\n', at + 1) - at - 1);
        return !line.empty();
      },
      std::chrono::seconds(30));
  REQUIRE(heard);
  CHECK(line.find("Init/Other") != line.npos);
}

TEST_CASE("tcpdump reads no list of neighbors in the hello of the OSPF advertiser") {
  const std::string tcpdump = installed("tcpdump");
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  const program advertiser({EXAMPLE_OSPF_HELLO, cable.near.link.name, "1"});
  const program_end how = cable.far.space.run([&] {
    return run_program({tcpdump, "-Z", "root", "-n", "-vvv", "-c", "1", "-i", cable.far.link.name, "ip6 proto 89"});
  });
  CHECK(how.exit_status == 0);
  CHECK(how.output.find("OSPFv3, Hello, length 36") != std::string::npos);
  CHECK(how.output.find("Hello Timer 1s, Dead Timer 4s") != std::string::npos);
  CHECK(how.output.ends_with("Neighbor List:\n"));  // tcpdump prints the heading of an empty list, too
}

}  // namespace
