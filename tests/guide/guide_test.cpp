// The guide's own programs: compiled as they stand in docs/guide (meson.build beside this file), and run here.
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <csignal>
#include <cstdio>
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
#include "uring6/error.hpp"
#include "uring6/interface.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

/// A plain socket for datagrams.
file_descriptor datagram_socket() {
  return or_throw(open_socket(AF_INET6, SOCK_DGRAM));
}

bool send_text(const file_descriptor& from, std::string_view text, const endpoint& to) {
  const sockaddr_in6 name = to.to_sockaddr();
  return ::sendto(from.get(), text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&name), sizeof name) ==
         static_cast<ssize_t>(text.size());
}

/// Whether a service that echoes answers a client of its own. Until the service has its port the kernel refuses the
/// question.
bool echoes(const endpoint& service) {
  const file_descriptor client = datagram_socket();
  if (!connect_socket(client.get(), service) || ::send(client.get(), "hello", 5, 0) != 5) return false;
  std::array<char, 16> buffer{};
  pollfd readable{client.get(), POLLIN, 0};
  return ::poll(&readable, 1, 60'000) == 1 && ::recv(client.get(), buffer.data(), buffer.size(), 0) == 5 &&
         std::string_view(buffer.data(), 5) == "hello";
}

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

const endpoint service_address{ip_address::loopback(), 1024};

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
  if (!GUIDE_HAS_ASIO) with_program.erase("asio");
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
  REQUIRE(eventually([] { return echoes(service_address); }));
  service.send_signal(SIGTERM);
  const program_end end = service.wait();
  CHECK(end.exit_status == 0);
  CHECK(end.output == "1 received, 1 sent\n");
  CHECK(end.errors.empty());
}

TEST_CASE("the guide's service of several loops answers from each, and ends in order by a signal") {
  constexpr int clients = 64;
  const host_of_the_guide host;
  const auto inside = host.first.near.space.enter();
  program service({programs().at("many-loops")});
  REQUIRE(eventually([] { return echoes(service_address); }));
  for (int i = 1; i < clients; ++i) REQUIRE(echoes(service_address));
  service.send_signal(SIGTERM);
  const program_end end = service.wait();
  CHECK(end.exit_status == 0);
  CHECK(end.errors.empty());
  CHECK_THAT(end.output, EndsWith("\nended in order: true\n"));
  std::istringstream lines(end.output);
  std::set<int> loops;
  int answers = 0;
  for (std::string line; std::getline(lines, line);) {
    int loop = 0;
    int of_loop = 0;
    if (std::sscanf(line.c_str(), "loop %d: %d answers", &loop, &of_loop) != 2) continue;
    loops.insert(loop);
    answers += of_loop;
    CHECK(of_loop > 0);  // all 64 clients at one of two loops: once in 2^63 runs
  }
  CHECK(loops == std::set{0, 1});
  CHECK(answers == clients);
}

TEST_CASE("the guide's source-specific receiver prints what its source sends, and nothing of another one") {
  const host_of_the_guide host;
  const auto inside = host.first.near.space.enter();
  const interface& eth0 = host.first.near.link;
  const ip_address group = ip_address::parse("ff3e::8000:114").value();
  program receiver({programs().at("source-specific"), "eth0", "ff3e::8000:114", "2001:db8::1"});
  REQUIRE(eventually([&] {
    return std::ranges::any_of(or_throw(eth0.groups()), [&](const auto& each) { return each.group == group; });
  }));
  const auto send_from = [&](const char* source, std::string_view text) {
    const file_descriptor sender = datagram_socket();
    const sockaddr_in6 name = endpoint{ip_address::parse(source).value(), 0}.to_sockaddr();
    REQUIRE(::bind(sender.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
    REQUIRE(send_text(sender, text, {group.with_zone(eth0.index), 1024}));
  };
  send_from("2001:db8::3", "from another");
  send_from("2001:db8::1", "hello");
  const std::string heard = "2001:db8::1: hello\n";
  REQUIRE(receiver.writes(heard.size()));
  receiver.send_signal(SIGTERM);
  const program_end end = receiver.wait();
  CHECK(end.exit_status == 0);
  CHECK(end.errors.empty());
  CHECK(end.output == heard);
}

TEST_CASE("the guide's service inside of Asio answers, and ends by a signal that Asio gets") {
  if (!GUIDE_HAS_ASIO) SKIP("there is no Asio");
  const host_of_the_guide host;
  const auto inside = host.first.near.space.enter();
  program service({programs().at("asio")});
  REQUIRE(eventually([] { return echoes(service_address); }));
  service.send_signal(SIGTERM);
  const program_end end = service.wait();
  CHECK(end.exit_status == 0);
  CHECK(end.errors.empty());
  CHECK(end.output == "the read ended: " + make_error_code(errc::canceled).message() + "\n1 received, 1 sent\n");
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
  const file_descriptor sender = datagram_socket();
  // The kernel has no source address for it until the interface has one again.
  const auto send = [&] { return send_text(sender, "hello", {group.with_zone(host.first.near.link.index), 1024}); };
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
