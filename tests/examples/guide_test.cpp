// The ten programs of the guide, in a network of their own, against each other and against plain sockets.
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "examples/plain_socket.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/network_namespace.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/process/program.hpp"
#include "sys/socket/socket.hpp"
#include "sys/socket/socket_options.hpp"
#include "uring6/interface.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

constexpr std::uint16_t guide_port = 7777;  // of each program, in a namespace of the test's

endpoint at(const char* address) {
  return {parse(address), guide_port};
}

file_descriptor udp_socket() {
  return or_throw(open_socket(AF_INET6, SOCK_DGRAM));
}

/// Whether a socket is bound to the port, by /proc/net: the program is ready.
bool listens(const char* table) {
  std::ifstream file(std::string("/proc/thread-self/net/") + table);
  const std::string all(std::istreambuf_iterator<char>(file), {});
  return all.find(":1E61 ") != all.npos;
}
void wait_for(const char* table) {
  REQUIRE(eventually([&] { return listens(table); }));
}

/// A file in memory, for what a program prints while it runs.
struct printed_file {
  file_descriptor fd{::memfd_create("printed", MFD_CLOEXEC)};
  std::string name = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd.get());

  std::string text() const {
    std::ifstream now(name);
    return std::string(std::istreambuf_iterator<char>(now), {});
  }
};

program_end terminate_and_wait(program& running) {
  running.send_signal(SIGTERM);
  return running.wait();
}

TEST_CASE("guide: the echo answers from the address that was asked") {
  const veth_pair cable;
  cable.near.space.run([&] { add_address(cable.near.link.index, parse("2001:db8::77"), 64); });
  const auto server_side = cable.near.space.enter();
  program server({EXAMPLE_ECHO});
  wait_for("udp6");
  const auto client_side = cable.far.space.enter();
  const file_descriptor client = udp_socket();
  for (const char* address : {"2001:db8::77", "2001:db8::1"}) {
    REQUIRE(send_text(client, "hello", at(address)));
    endpoint source;
    CHECK(receive(client, source) == "hello");
    CHECK(source == at(address));
  }
  CHECK(terminate_and_wait(server).signal == SIGTERM);
}

TEST_CASE("guide: the request is repeated until it is answered, and gives up") {
  const network_namespace space;
  const auto inside = space.enter();
  const file_descriptor server = udp_socket();
  or_throw(bind_socket(server.get(), at("::1")));
  program asking({EXAMPLE_REQUEST, "[::1]:7777", "are you there?"});
  endpoint source;
  CHECK(receive(server, source) == "are you there?");  // no answer
  CHECK(receive(server, source) == "are you there?");
  REQUIRE(send_text(server, "yes", source));
  const program_end answered = asking.wait();
  CHECK(answered.output == "yes\n");
  CHECK(answered.exit_status == 0);

  const program_end silent = run_program({EXAMPLE_REQUEST, "[::1]:7777", "and now?"});
  CHECK(silent.errors == "request: [::1]:7777: deadline exceeded\n");
  CHECK(silent.exit_status == 1);
}

TEST_CASE("guide: the multicast listener tells how each datagram came, and names an interface that is missing") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  const program_end missing = run_program({EXAMPLE_MULTICAST, "eth77", "ff02::114", "7777"});
  CHECK(missing.errors ==
        "multicast: interface eth77: no such network interface or zone (ip link lists the interfaces)\n");
  const printed_file printed;
  program listener({EXAMPLE_MULTICAST, cable.near.link.name, "ff02::114", "7777"}, {.output_file = printed.name});
  REQUIRE(eventually([&] {
    for (const auto& each : or_throw(cable.near.link.groups()))
      if (each.group.with_zone(0) == parse("ff02::114")) return true;
    return false;
  }));
  cable.far.space.run([&] {
    const file_descriptor sender = udp_socket();
    or_throw(set_option(sender.get(), option::multicast_hop_limit, 7));
    REQUIRE(send_text(sender, "to all", {parse("ff02::114").with_zone(cable.far.link.index), guide_port}));
  });
  CHECK(eventually([&] { return printed.text().ends_with('\n'); }));
  const std::string heard = printed.text();
  CHECK(heard.starts_with("6 octets from [fe80:"));
  CHECK(heard.find("hoplim=7") != std::string::npos);
  CHECK(heard.find("dst=ff02::114") != std::string::npos);
  CHECK(terminate_and_wait(listener).signal == SIGTERM);
}

TEST_CASE("guide: the line server answers whole lines and ends by a signal") {
  const network_namespace space;
  const auto inside = space.enter();
  program server({EXAMPLE_LINES});
  wait_for("tcp6");
  const file_descriptor client = or_throw(open_socket(AF_INET6, SOCK_STREAM));
  or_throw(connect_socket(client.get(), at("::1")));
  REQUIRE(::send(client.get(), "one\ntwo\nthr", 11, 0) == 11);
  std::array<char, 64> buffer{};
  REQUIRE(::recv(client.get(), buffer.data(), 8, MSG_WAITALL) == 8);
  CHECK(std::string_view(buffer.data(), 8) == "ONE\nTWO\n");
  REQUIRE(::send(client.get(), "ee\n", 3, 0) == 3);
  REQUIRE(::recv(client.get(), buffer.data(), 6, MSG_WAITALL) == 6);
  CHECK(std::string_view(buffer.data(), 6) == "THREE\n");
  const program_end how = terminate_and_wait(server);
  CHECK(how.exit_status == 0);
  CHECK(::recv(client.get(), buffer.data(), 1, 0) == 0);
}

TEST_CASE("guide: the pipeline counts the words of all datagrams") {
  const network_namespace space;
  const auto inside = space.enter();
  program counter({EXAMPLE_PIPELINE});
  wait_for("udp6");
  const file_descriptor client = udp_socket();
  for (int i = 0; i < 100; ++i) REQUIRE(send_text(client, "three words here", at("::1")));
  REQUIRE(send_text(client, "", at("::1")));
  CHECK(counter.wait().output == "300 words\n");
}

TEST_CASE("guide: the burst counts its echoes and their marks, also on all processors") {
  const network_namespace space;
  const auto inside = space.enter();
  program server({EXAMPLE_ALL_CPUS});
  wait_for("udp6");
  const program_end burst = run_program({EXAMPLE_BURST, "[::1]:7777"});
  CHECK(burst.output.starts_with("sent 32, received 32: "));
  CHECK(burst.errors.empty());
  const program_end how = terminate_and_wait(server);
  CHECK(how.exit_status == 0);
  CHECK(how.errors.empty());
}

TEST_CASE("guide: the select program counts datagrams between its ticks and ends by a signal") {
  const network_namespace space;
  const auto inside = space.enter();
  const printed_file printed;
  program counter({EXAMPLE_SELECT}, {.output_file = printed.name});
  wait_for("udp6");
  const file_descriptor client = udp_socket();
  for (int i = 0; i < 3; ++i) REQUIRE(send_text(client, "x", at("::1")));
  CHECK(eventually([&] { return printed.text().find("3 datagrams so far\n") != std::string::npos; }));
  CHECK(terminate_and_wait(counter).exit_status == 0);
  CHECK(printed.text().ends_with("3 datagrams\n"));
}

TEST_CASE("guide: the page is fetched from the first address that answers, and a refusal names it") {
  const network_namespace space;
  const auto inside = space.enter();
  const file_descriptor server = or_throw(open_socket(AF_INET6, SOCK_STREAM));
  or_throw(bind_socket(server.get(), at("::1")));
  or_throw(listen_socket(server.get(), 1));
  program fetching({EXAMPLE_HTTP_GET, "::1", "7777", "/index"});
  pollfd dialed{server.get(), POLLIN, 0};
  REQUIRE(::poll(&dialed, 1, 60'000) == 1);
  const file_descriptor peer(::accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC));
  std::string request;
  std::array<char, 256> buffer{};
  while (request.find("\r\n\r\n") == request.npos) {
    const ssize_t got = ::recv(peer.get(), buffer.data(), buffer.size(), 0);
    REQUIRE(got > 0);
    request.append(buffer.data(), static_cast<std::size_t>(got));
  }
  CHECK(request == "GET /index HTTP/1.0\r\nHost: [::1]\r\n\r\n");
  REQUIRE(::send(peer.get(), "the page", 8, 0) == 8);
  REQUIRE(::shutdown(peer.get(), SHUT_WR) == 0);
  CHECK(fetching.wait().output == "the page");

  const program_end refused = run_program({EXAMPLE_HTTP_GET, "::1", "7778", "/"});
  CHECK(refused.errors == "http_get: dial_tcp [::1]:7778: Connection refused (no socket listens there)\n");
}

TEST_CASE("guide: the ping reports each reply and its time") {
  const network_namespace space;
  const auto inside = space.enter();
  std::ofstream("/proc/sys/net/ipv4/ping_group_range") << "0 0";
  const program_end pinged = run_program({EXAMPLE_PING, "::1"});
  CHECK(pinged.errors.empty());
  for (const char* number : {"number 0, ", "number 1, ", "number 2, ", "number 3, "})
    CHECK(pinged.output.find(number) != std::string::npos);
  CHECK(pinged.output.find("octets from [::1]") != std::string::npos);
}

}  // namespace
