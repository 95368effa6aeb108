// The guide's own programs: compiled as they stand in docs/guide (meson.build beside this file), and run here.
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "support/case/eventually.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/network_namespace.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/process/program.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/interface.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

/// The programs by the names of their pages.
std::map<std::string, std::string> programs() {
  std::map<std::string, std::string> found;
  std::istringstream all(GUIDE_PROGRAMS);
  for (std::string each; std::getline(all, each, ':');) {
    const auto equals = each.find('=');
    found.emplace(each.substr(0, equals), each.substr(equals + 1));
  }
  return found;
}

/// The text of the block of a page that begins with this fence; empty if the page has none.
std::string block_of(const std::string& page, std::string_view fence) {
  std::ifstream file(std::string(GUIDE_FOLDER "/") + page + ".md");
  REQUIRE(file);
  std::string text;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (!inside) {
      inside = line == fence;
    } else if (line == "```") {
      break;
    } else {
      text += line + "\n";
    }
  }
  return text;
}

/// The host that the guide speaks of: eth0 with 2001:db8::1 and 2001:db8::3, and eth1.
struct host_of_the_guide {
  host_of_the_guide() : first("eth0", "far0") {
    const auto inside = first.near.space.enter();
    add_address(first.near.link.index, ip_address::parse("2001:db8::3").value(), 64);
    create_veth("eth1", first.far.space, "far1");
    second = or_throw(interface::by_name("eth1"));
    set_link(second.index, link_state::up);
    first.far.space.run([] { set_link(or_throw(interface::by_name("far1")).index, link_state::up); });
    REQUIRE(eventually([&] { return is_operational(second.index) && has_address(second); }));
  }

  static bool has_address(const interface& link) { return !or_throw(link.addresses()).empty(); }

  veth_pair first;
  interface second;
};

TEST_CASE("each page of the guide with a program is compiled and run") {
  std::set<std::string> with_program;
  for (const auto& each : std::filesystem::directory_iterator(GUIDE_FOLDER)) {
    if (each.path().extension() != ".md") continue;
    const std::string page = each.path().stem();
    if (!block_of(page, "```cpp program").empty()) with_program.insert(page);
  }
  std::set<std::string> built;
  for (const auto& [page, path] : programs()) built.insert(page);
  CHECK(with_program == built);
  CHECK(built.size() > 5);
}

TEST_CASE("a program of the guide prints what its page shows") {
  const host_of_the_guide host;
  const auto inside = host.first.near.space.enter();
  int shown = 0;
  for (const auto& [page, path] : programs()) {
    const std::string wanted = block_of(page, "```text output");
    if (wanted.empty()) continue;
    CAPTURE(page);
    const program_end end = run_program({path});
    CHECK(end.output == wanted);
    // One says there why io_uring is refused, the other logs its counters.
    if (page != "containers" && page != "debugging") CHECK(end.errors.empty());
    CHECK(end.exit_status == 0);
    ++shown;
  }
  CHECK(shown > 4);
}

TEST_CASE("the first service of the guide answers, and ends in order by a signal") {
  const host_of_the_guide host;
  const auto inside = host.first.near.space.enter();
  program service({programs().at("first-service")});
  const file_descriptor client = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  const sockaddr_in6 to = endpoint{ip_address::loopback(), 1024}.to_sockaddr();
  REQUIRE(::connect(client.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
  // Until the service has its port the kernel refuses the question.
  const auto answered = [&] {
    std::array<char, 16> buffer{};
    if (::send(client.get(), "hello", 5, 0) != 5) return false;
    pollfd readable{client.get(), POLLIN, 0};
    return ::poll(&readable, 1, 60'000) == 1 && ::recv(client.get(), buffer.data(), buffer.size(), 0) == 5 &&
           std::string_view(buffer.data(), 5) == "hello";
  };
  REQUIRE(eventually(answered));
  service.send_signal(SIGTERM);
  const program_end end = service.wait();
  CHECK(end.exit_status == 0);
  CHECK(end.output == "1 received, 1 sent\n");
  CHECK(end.errors.empty());
}

TEST_CASE("the guide's service that follows the network hears its group again after an MTU that was too small") {
  const host_of_the_guide host;
  const auto inside = host.first.near.space.enter();
  program service({programs().at("network-changes")});
  const ip_address group = ip_address::parse("ff02::114").value();
  const auto is_joined = [&] {
    const std::vector<group_membership> all = or_throw(host.first.near.link.groups());
    return std::ranges::any_of(all, [&](const group_membership& each) { return each.group.with_zone(0) == group; });
  };
  const file_descriptor sender = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  const auto send = [&] {
    // The kernel has no source address for it until the interface has one again.
    const sockaddr_in6 to = endpoint{group.with_zone(host.first.near.link.index), 1024}.to_sockaddr();
    return ::sendto(sender.get(), "hello", 5, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 5;
  };
  REQUIRE(eventually(is_joined));
  REQUIRE(eventually(send));
  const std::string heard = "5 octets for ff02::114\n";
  REQUIRE(service.writes(heard.size()));
  set_mtu(host.first.near.link.index, 1'279);
  set_mtu(host.first.near.link.index, 1'500);
  REQUIRE(eventually(is_joined));
  REQUIRE(eventually(send));
  REQUIRE(service.writes(2 * heard.size()));
  service.send_signal(SIGTERM);
  const program_end end = service.wait();
  CHECK(end.exit_status == 0);
  // A join that comes some microseconds before the interface has IPv6 again is refused, and counted.
  CHECK_THAT(end.output, StartsWith(heard + heard + "joins=2 first=1 mtu_restored=1 ") && EndsWith("left=1\n"));
  CHECK(end.errors.find("mtu eth0 ifindex=" + std::to_string(host.first.near.link.index) + " mtu=1279") !=
        std::string::npos);
}

}  // namespace
