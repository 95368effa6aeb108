// The README's own code: compiled as it is there (meson.build beside this file); its first program also runs.
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <csignal>
#include <fstream>
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
#include "uring6/format.hpp"
#include "uring6/interface.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

std::vector<std::string> programs() {
  std::vector<std::string> paths;
  std::istringstream all(README_PROGRAMS);
  for (std::string path; std::getline(all, path, ':');) paths.push_back(path);
  return paths;
}

/// The lines of the first fenced block that begins like this, with runs of white space made one blank, without empty
/// lines.
std::vector<std::string> first_block(const char* path, std::string_view fence) {
  std::ifstream file(path);
  REQUIRE(file);
  std::vector<std::string> lines;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (!inside) {
      inside = line == fence;
      continue;
    }
    if (line == "```") return lines;
    std::string words;
    std::istringstream in(line);
    for (std::string word; in >> word;) words += (words.empty() ? "" : " ") + word;
    if (!words.empty()) lines.push_back(words);
  }
  return lines;
}

/// A client with an unconnected socket, which shows answers from any address.
class client {
 public:
  client() : fd_(or_throw(open_socket(AF_INET6, SOCK_DGRAM))) {}

  /// Returns the address that answers.
  endpoint ask(const endpoint& whom, std::string_view question) {
    const sockaddr_in6 to = whom.to_sockaddr();
    const auto* name = reinterpret_cast<const sockaddr*>(&to);
    REQUIRE(::sendto(fd_.get(), question.data(), question.size(), 0, name, sizeof to) == std::ssize(question));
    pollfd readable{fd_.get(), POLLIN, 0};
    REQUIRE(::poll(&readable, 1, 60'000) == 1);
    std::array<char, 64> buffer{};
    sockaddr_in6 from{};
    socklen_t length = sizeof from;
    const ssize_t got =
        ::recvfrom(fd_.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
    REQUIRE(got >= 0);
    CHECK(std::string_view(buffer.data(), static_cast<std::size_t>(got)) == question);
    return endpoint::from_sockaddr(from);
  }

 private:
  file_descriptor fd_;
};

bool can_be_bound(const endpoint& name) {
  const file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  return bind_socket(fd.get(), name).has_value();
}

TEST_CASE("the README has programs, and they were built") {
  REQUIRE_FALSE(programs().empty());
  for (const std::string& each : programs()) {
    CAPTURE(each);
    CHECK(::access(each.c_str(), X_OK) == 0);
  }
}

TEST_CASE("the README's service is that of the design page, with its includes") {
  std::vector<std::string> in_readme = first_block(README_TEXT, "```cpp program");
  const std::vector<std::string> in_design = first_block(DESIGN_TEXT, "```cpp");
  REQUIRE(in_design.size() > 10);
  // The design page leaves out the standard library's includes.
  std::erase_if(in_readme, [](const std::string& line) {
    return line.starts_with("#include <") && !line.starts_with("#include <uring6/");
  });
  CHECK(in_readme == in_design);
}

TEST_CASE("the README's service names the call that failed and its object, and ends") {
  const network_namespace without_eth0;
  const auto inside = without_eth0.enter();
  REQUIRE_FALSE(programs().empty());
  const program_end missing = run_program({programs().front()});
  CHECK(missing.exit_status == 1);
  CHECK(missing.errors == "interface eth0: no such network interface or zone (ip link lists the interfaces)\n");
  const file_descriptor other = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  or_throw(bind_socket(other.get(), {ip_address::any(), 1024}));
  const program_end taken = run_program({programs().front()});
  CHECK(taken.exit_status == 1);
  CHECK(taken.errors ==
        "listen_packet udp6 [::]:1024: Address already in use (another socket has the port: ss -nlp names it)\n");
}

TEST_CASE("the README's service answers: on ::1, on each of its addresses, to its group") {
  const veth_pair cable("eth0", "far0");
  const endpoint any{ip_address::any(), 1024};
  const ip_address second = ip_address::parse("2001:db8::3").value();
  const auto at_home = cable.near.space.enter();
  add_address(cable.near.link.index, second, 64);

  REQUIRE_FALSE(programs().empty());
  program service({programs().front()});
  // The service has its port and its group now; it answers every later datagram.
  const auto serves = [&] {
    const auto groups = or_throw(cable.near.link.groups());
    return std::ranges::any_of(
        groups, [](const auto& each) { return each.group.with_zone(0) == ip_address::parse("ff02::114"); });
  };
  if (!eventually(serves)) {
    service.send_signal(SIGKILL);
    FAIL("it does not join its group: " << service.wait().errors);
  }

  const endpoint on_loopback{ip_address::loopback(), 1024};
  client here;
  for (const char* question : {"a", "second", "and a third"}) CHECK(here.ask(on_loopback, question) == on_loopback);

  cable.far.space.run([&] {
    client there;
    // The answer comes from the address that was asked, whichever the kernel would choose.
    for (const ip_address& each : {cable.near.address, second, cable.near.address}) {
      CHECK(there.ask({each, 1024}, "to one of two") == endpoint{each, 1024});
    }
    // A group is no source address: the answer comes from the member, by the interface of the question.
    const ip_address group = ip_address::parse("ff02::114").value().with_zone(cable.far.link.index);
    const endpoint member = there.ask({group, 1024}, "to the group");
    CHECK(member == endpoint{cable.near.link_local.with_zone(cable.far.link.index), 1024});
  });

  CHECK_FALSE(can_be_bound(any));
  service.send_signal(SIGTERM);
  const program_end end = service.wait();
  CHECK(end.exit_status == 0);
  CHECK(end.output.empty());
  CHECK(end.errors.empty());
  CHECK(eventually([&] { return can_be_bound(any); }));
}

}  // namespace
