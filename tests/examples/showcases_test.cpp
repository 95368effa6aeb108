// The services of examples/ that common clients talk to: here against plain sockets, and against logger and chronyd
// where these are installed.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "examples/plain_socket.hpp"
#include "examples/showcase.hpp"
#include "interop/daemons.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/network_namespace.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/process/program.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/interface.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

// ---- NTP ------------------------------------------------------------------------------------------------------------

std::uint64_t field(const std::string& packet, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = at; i < at + 8; ++i) value = value << 8 | static_cast<unsigned char>(packet[i]);
  return value;
}

/// A request of version 4 with these eight octets as its transmit time.
std::string request_of(const std::string& transmit, char first = 0x23) {
  std::string packet(40, '\0');
  packet[0] = first;
  return packet + transmit;
}

std::uint64_t ntp_clock() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  const auto rest = std::chrono::nanoseconds(since - seconds).count();
  return (static_cast<std::uint64_t>(seconds.count()) + 2'208'988'800) << 32 |
         (static_cast<std::uint64_t>(rest) << 32) / 1'000'000'000;
}

TEST_CASE("the NTP server answers from the address that was asked, with the client's time and its own") {
  const veth_pair cable;
  cable.near.space.run([&] { add_address(cable.near.link.index, parse("2001:db8::77"), 64); });
  const auto server_side = cable.near.space.enter();
  const program server({EXAMPLE_NTP_SERVER, "[::]:7777"});
  REQUIRE(eventually([] { return listeners("udp6") == 1; }));
  const auto client_side = cable.far.space.enter();
  const file_descriptor client = datagram_client();
  for (const char* address : {"2001:db8::77", "2001:db8::1"}) {
    const std::uint64_t before = ntp_clock();
    REQUIRE(send_text(client, request_of("12345678"), {parse(address), showcase_port}));
    endpoint source;
    const std::string answer = receive(client, source);
    CHECK(source == endpoint{parse(address), showcase_port});
    REQUIRE(answer.size() == 48);
    CHECK(answer[0] == 0x24);  // no leap second, version 4, server
    CHECK(answer[1] == 10);
    CHECK(answer.substr(24, 8) == "12345678");
    CHECK(field(answer, 32) >= before);
    CHECK(field(answer, 40) >= field(answer, 32));
    CHECK(field(answer, 40) <= ntp_clock());
  }
}

TEST_CASE("the NTP server's time of arrival is the kernel's: it lies before the program could run") {
  const network_namespace space;
  const auto inside = space.enter();
  program server({EXAMPLE_NTP_SERVER, "[::]:7777"});
  REQUIRE(eventually([] { return listeners("udp6") == 1; }));
  const file_descriptor client = datagram_client();
  const endpoint to{parse("::1"), showcase_port};
  endpoint source;
  // The kernel begins with its timestamps some time after a socket has asked for the first ones.
  std::uint64_t stopped = 0;
  const bool arrived_while_stopped = eventually([&] {
    server.send_signal(SIGSTOP);
    REQUIRE(eventually([&] { return is_stopped(server.id()); }));
    REQUIRE(send_text(client, request_of("abcdefgh"), to));
    stopped = ntp_clock();
    server.send_signal(SIGCONT);
    const std::string answer = receive(client, source);
    return field(answer, 32) <= stopped && field(answer, 40) >= stopped;
  });
  CHECK(arrived_while_stopped);
}

TEST_CASE("the NTP server leaves answers, short datagrams and other versions without an answer") {
  const network_namespace space;
  const auto inside = space.enter();
  const program server({EXAMPLE_NTP_SERVER, "[::]:7777"});
  REQUIRE(eventually([] { return listeners("udp6") == 1; }));
  const file_descriptor client = datagram_client();
  const endpoint to{parse("::1"), showcase_port};
  REQUIRE(send_text(client, request_of("answer__", 0x24), to));
  REQUIRE(send_text(client, request_of("version7", 0x3b), to));
  REQUIRE(send_text(client, request_of("version2", 0x13), to));
  REQUIRE(send_text(client, request_of("shorter"), to));
  REQUIRE(send_text(client, "", to));
  REQUIRE(send_text(client, request_of("request_", 0x1b), to));
  endpoint source;
  const std::string first = receive(client, source);
  CHECK(first[0] == 0x1c);  // version 3, server
  CHECK(first.substr(24, 8) == "request_");
}

TEST_CASE("chronyd takes the time of the NTP server") {
  const std::string chronyd = installed("chronyd");
  // chronyd deletes it at its start and at its end, so it is a path of this test's own.
  const auto pid_file = std::filesystem::temp_directory_path() / ("uring6-chronyd-" + std::to_string(::getpid()));
  const network_namespace space;
  const auto inside = space.enter();
  const program server({EXAMPLE_NTP_SERVER, "[::]:7777"});
  REQUIRE(eventually([] { return listeners("udp6") == 1; }));
  const program_end how =
      run_program({chronyd, "-Q", "-t", "30", "-u", "root", "server ::1 port 7777 iburst maxsamples 1",
                   "pidfile " + pid_file.string(), "cmdport 0", "bindcmdaddress /"});
  CHECK(how.exit_status == 0);
  CHECK((how.output + how.errors).find("System clock wrong by") != std::string::npos);
}

// ---- syslog ---------------------------------------------------------------------------------------------------------

TEST_CASE("the syslog sink receives at 200 sockets, and tells priorities and what is no message") {
  const network_namespace space;
  const auto inside = space.enter();
  std::vector<std::string> words{EXAMPLE_SYSLOG_SINK};
  for (int i = 0; i < 200; ++i) words.push_back("[::1]:" + std::to_string(7578 + i));
  const output_in_memory printed;
  program sink(words, {.output_file = printed.name});
  REQUIRE(eventually([] { return listeners("udp6") == 1; }));  // the last one has the port
  const file_descriptor client = datagram_client();
  for (int i = 0; i < 200; ++i) {
    const auto port = static_cast<std::uint16_t>(7578 + i);
    REQUIRE(send_text(client, "<34>1 - host su - - - number " + std::to_string(i) + "\n", {parse("::1"), port}));
  }
  for (const char* wrong : {"", "no priority", "<>x", "<192>x", "<-1>x", "<3", "<0003>x", "<1a>x"})
    REQUIRE(send_text(client, wrong, {parse("::1"), showcase_port}));
  REQUIRE(send_text(client, "<191>last", {parse("::1"), showcase_port}));
  REQUIRE(eventually([&] { return printed.text().find("23.debug last\n") != std::string::npos; }));
  for (int i = 0; i < 200; ++i) {
    const std::string line = "::1 4.critical 1 - host su - - - number " + std::to_string(i) + "\n";
    CHECK(eventually([&] { return printed.text().find(line) != std::string::npos; }));
  }
  sink.send_signal(SIGTERM);
  const program_end how = sink.wait();
  CHECK(how.exit_status == 0);
  CHECK(how.errors.empty());
  const std::string all = printed.text();
  CHECK(all.find("::1 malformed: 0 octets\n::1 malformed: 11 octets\n") != std::string::npos);
  CHECK(all.find("::1 malformed: 5 octets\n::1 23.debug last\n") != std::string::npos);
  CHECK(all.ends_with("\n209 messages, 0 drops of 200 sockets\n"));
}

TEST_CASE("logger's message arrives at the syslog sink") {
  const std::string logger = installed("logger");
  const network_namespace space;
  const auto inside = space.enter();
  const output_in_memory printed;
  program sink({EXAMPLE_SYSLOG_SINK, "[::1]:7777"}, {.output_file = printed.name});
  REQUIRE(eventually([] { return listeners("udp6") == 1; }));
  const program_end sent = run_program({logger, "--udp", "--server", "::1", "--port", "7777", "--rfc5424", "--priority",
                                        "local0.warning", "--tag", "showcase", "the words"});
  CHECK(sent.errors.empty());
  REQUIRE(eventually([&] { return printed.text().ends_with("the words\n"); }));
  CHECK(printed.text().starts_with("::1 16.warning 1 "));
  CHECK(printed.text().find(" showcase ") != std::string::npos);
  sink.send_signal(SIGTERM);
  CHECK(sink.wait().exit_status == 0);
}

// ---- a chat ---------------------------------------------------------------------------------------------------------

/// A chat, and the writing end of its input.
struct chatting {
  chatting(const veth_end& at, const std::string& name) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const file_descriptor reading(ends[0]);
    input = file_descriptor(ends[1]);
    const auto inside = at.space.enter();
    running.emplace(std::vector<std::string>{EXAMPLE_CHAT, at.link.name, "ff02::114", "7777", name},
                    program_settings{.prepare = [&] { ::dup2(reading.get(), 0); }, .output_file = printed.name});
    REQUIRE(eventually([&] {
      for (const auto& each : or_throw(at.link.groups()))
        if (each.group.with_zone(0) == parse("ff02::114")) return true;
      return false;
    }));
  }
  void say(std::string_view text) const {
    REQUIRE(::write(input.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  bool hears(const std::string& line) const {
    return eventually([&] { return printed.text().find(line + "\n") != std::string::npos; });
  }
  program_end leave() {
    input = file_descriptor();
    return running->wait();
  }

  output_in_memory printed;
  file_descriptor input;
  std::optional<program> running;
};

TEST_CASE("two hosts chat over a group: each hears the other and itself, and the end of the input ends it") {
  const veth_pair cable;
  chatting ada(cable.near, "Ada");
  chatting bob(cable.far, "Bob");
  ada.say("hello\nhow ");
  ada.say("are you?\n");
  CHECK(bob.hears("Ada: hello"));
  CHECK(bob.hears("Ada: how are you?"));
  CHECK(ada.hears("Ada: how are you?"));
  bob.say("well\x1b[31m\n");
  CHECK(ada.hears("Bob: well?[31m"));
  for (chatting* each : {&ada, &bob}) {
    const program_end how = each->leave();
    CHECK(how.exit_status == 0);
    CHECK(how.errors.empty());
  }
}

// ---- lines with deadlines -------------------------------------------------------------------------------------------

/// All that comes until the server closes.
std::string read_all(const file_descriptor& from) {
  std::string all;
  std::array<char, 4096> buffer{};
  for (ssize_t got = 1; got > 0;) {
    got = ::recv(from.get(), buffer.data(), buffer.size(), 0);
    if (got > 0) all.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return all;
}

void send_all(const file_descriptor& to, std::string_view text) {
  REQUIRE(::send(to.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
}

TEST_CASE("the line server sends whole lines back, and closes a silent connection and one with too long a line") {
  const network_namespace space;
  const auto inside = space.enter();
  program server({EXAMPLE_IDLE_LINES, "[::]:7777", "1"});
  REQUIRE(eventually([] { return listeners("tcp6") == 1; }));
  const file_descriptor silent = connection();
  send_all(silent, "one\ntwo\nthr");
  CHECK(read_all(silent) == "one\ntwo\n");  // ends after a second without a word

  const file_descriptor endless = connection();
  send_all(endless, "short\n" + std::string(4096, 'x'));
  CHECK(read_all(endless) == "short\n");
  server.send_signal(SIGTERM);
  const program_end how = server.wait();
  CHECK(how.exit_status == 0);
  CHECK(how.errors.empty());
}

TEST_CASE("the line server ends when its last connection has ended after the signal") {
  const network_namespace space;
  const auto inside = space.enter();
  program server({EXAMPLE_IDLE_LINES, "[::]:7777", "60"});
  REQUIRE(eventually([] { return listeners("tcp6") == 1; }));
  const file_descriptor client = connection();
  send_all(client, "before\n");
  std::array<char, 7> buffer{};
  REQUIRE(::recv(client.get(), buffer.data(), buffer.size(), MSG_WAITALL) == 7);
  server.send_signal(SIGTERM);
  // New connections are refused, the old one goes on.
  REQUIRE(eventually([] {
    const file_descriptor late = or_throw(open_socket(AF_INET6, SOCK_STREAM));
    return !connect_socket(late.get(), {parse("::1"), showcase_port});
  }));
  send_all(client, "after\n");
  REQUIRE(::shutdown(client.get(), SHUT_WR) == 0);
  CHECK(read_all(client) == "after\n");
  CHECK(server.wait().exit_status == 0);
}

}  // namespace
