// The QUIC server and client of examples/quic beside the client and the server that the distribution has of ngtcp2, and
// beside each other.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <regex>
#include <string>
#include <vector>

#include "interop/daemons.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/network_namespace.hpp"
#include "support/process/program.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "sys/socket/socket.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

constexpr char port[] = "4433";  // in a namespace of the test's
constexpr std::size_t file_length = 5'000'000;

std::string content_of(const std::string& file) {
  std::ifstream from(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(from), {}};
}

/// A directory with a file to be served, a key, and a certificate for localhost and ::1; in a namespace with three
/// addresses.
struct site {
  site() {
    if (std::string(EXAMPLE_QUIC_SERVER).empty()) SKIP("examples/quic needs ngtcp2 0.12 with GnuTLS, and nghttp3 0.8");
    std::filesystem::create_directory(files.path("served"));
    std::mt19937_64 numbers(4433);
    std::string content(file_length, '\0');
    std::ranges::generate(content, [&] { return static_cast<char>(numbers() >> 56); });
    files.write("served/file.bin", content);
    files.write("secret", "not to be served\n");
    const program_end made =
        run_program({installed("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                     "-nodes", "-keyout", files.path("key.pem"), "-out", files.path("cert.pem"), "-days", "2", "-subj",
                     "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:::1"});
    if (made.exit_status != 0) FAIL(made.errors);
    add_address(loopback_index, or_throw(ip_address::parse("2001:db8::1")), 128);
    add_address(loopback_index, or_throw(ip_address::parse("2001:db8::2")), 128);
  }

  bool has(const std::string& copy) const {
    return content_of(files.path(copy)) == content_of(files.path("served/file.bin"));
  }

  const network_namespace space;
  const network_namespace::visit inside = space.enter();
  scratch_directory files;
};

/// What the server says of a connection that has ended.
struct connection_report {
  std::uint64_t sent = 0;
  std::uint64_t sent_ect = 0;
  std::uint64_t received = 0;
  std::uint64_t received_ect = 0;
  std::uint64_t migrations = 0;
};

std::vector<connection_report> reports(const std::string& output) {
  static const std::regex line(
      "ended: sent (\\d+) datagrams \\((\\d+) ECT\\) of \\d+ octets, received (\\d+) \\((\\d+) ECT, 0 CE\\), "
      "migrations "
      "(\\d+)\n");
  std::vector<connection_report> all;
  for (std::sregex_iterator at(output.begin(), output.end(), line), end; at != end; ++at) {
    const auto value = [&](std::size_t i) { return std::stoull((*at)[i].str()); };
    all.push_back({value(1), value(2), value(3), value(4), value(5)});
  }
  return all;
}

/// The server of examples/quic, at all addresses.
class our_server {
 public:
  explicit our_server(const site& of)
      : server_({EXAMPLE_QUIC_SERVER, std::string("[::]:") + port, of.files.path("cert.pem"), of.files.path("key.pem"),
                 of.files.path("served")}) {
    if (!server_.writes(1)) FAIL("the server does not listen: " + server_.wait().errors);
  }

  /// Ends it. Returns what it says of each connection.
  std::vector<connection_report> stop() {
    server_.send_signal(SIGTERM);
    const program_end how = server_.wait();
    CHECK(how.exit_status == 0);
    CHECK(how.errors == "");
    INFO(how.output);
    return reports(how.output);
  }

 private:
  program server_;
};

/// gtlsserver of the distribution, at ::1.
class their_server {
 public:
  explicit their_server(const site& of)
      : server_({installed("gtlsserver"), "-q", "-d", of.files.path("served"), "::1", port, of.files.path("key.pem"),
                 of.files.path("cert.pem")}) {
    const bool listens =
        eventually([] { return content_of("/proc/thread-self/net/udp6").find(":1151 ") != std::string::npos; });
    REQUIRE(listens);
  }

 private:
  program server_;
};

/// gtlsclient of the distribution: fetches file.bin from ::1 into the directory "theirs".
program_end their_client(const site& at, const std::vector<std::string>& more = {}) {
  std::filesystem::create_directory(at.files.path("theirs"));
  std::vector<std::string> words{installed("gtlsclient"), "-q", "--exit-on-all-streams-close",
                                 "--download=" + at.files.path("theirs")};
  words.insert(words.end(), more.begin(), more.end());
  words.insert(words.end(), {"::1", port, "https://localhost/file.bin"});
  return run_program(words);
}

/// The client of examples/quic: fetches `path` into the file "ours".
program_end our_client(const site& at, const std::string& server, const std::string& path = "/file.bin",
                       const std::string& name = "localhost", const std::vector<std::string>& more = {}) {
  std::vector<std::string> words{
      EXAMPLE_QUIC_CLIENT, "[" + server + "]:" + port, at.files.path("cert.pem"), name, path, at.files.path("ours")};
  words.insert(words.end(), more.begin(), more.end());
  return run_program(words);
}

TEST_CASE("the distribution's QUIC client gets a file whole, and ECN works both ways") {
  const site here;
  our_server server(here);
  CHECK(their_client(here).exit_status == 0);
  CHECK(here.has("theirs/file.bin"));
  const auto ended = server.stop();
  REQUIRE(ended.size() == 1);
  // An end stops to mark its packets unless the peer has counted the marks of its first ones (RFC 9000, 13.4.2).
  // Packets of the handshake are not all marked.
  CHECK(ended[0].sent_ect + 20 > ended[0].sent);
  CHECK(ended[0].received_ect + 20 > ended[0].received);
  CHECK(ended[0].received_ect > 20);
}

TEST_CASE("the QUIC server follows the distribution's client to another port") {
  const site here;
  our_server server(here);
  // The client moves before it asks.
  CHECK(their_client(here, {"--change-local-addr=20ms", "--delay-stream=200ms"}).exit_status == 0);
  CHECK(here.has("theirs/file.bin"));
  const auto ended = server.stop();
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].migrations == 1);
}

TEST_CASE("a QUIC client of an unknown version hears which one the server speaks") {
  const site here;
  our_server server(here);
  CHECK(their_client(here, {"--version=0x1a2a3a4a", "--preferred-versions=v1"}).exit_status == 0);
  CHECK(here.has("theirs/file.bin"));
  CHECK(server.stop().size() == 1);
}

TEST_CASE("the QUIC server answers no packet of an unknown version that is shorter than a first packet is") {
  const site here;
  our_server server(here);
  const file_descriptor client = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  or_throw(connect_socket(client.get(), or_throw(endpoint::parse(std::string("[::1]:") + port))));
  // RFC 8999, 5.1: the form, the version, the two ids with their lengths. The answer has the ids the other way round.
  const auto send = [&](std::size_t length, std::uint8_t id) {
    std::vector<std::uint8_t> packet(length);
    const std::array<std::uint8_t, 16> head{0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, id};
    std::ranges::copy(head, packet.begin());
    CHECK(::send(client.get(), packet.data(), packet.size(), 0) == static_cast<ssize_t>(length));
  };
  send(1199, 1);
  send(1200, 2);
  std::array<std::uint8_t, 64> answer{};
  REQUIRE(eventually([&] { return ::recv(client.get(), answer.data(), answer.size(), MSG_DONTWAIT) >= 7; }));
  CHECK(answer[5] == 1);
  CHECK(answer[6] == 2);
}

TEST_CASE("the QUIC client says why it cannot write what comes") {
  const site here;
  our_server server(here);
  std::filesystem::create_symlink("/dev/full", here.files.path("ours"));
  const program_end how = our_client(here, "::1");
  CHECK(how.exit_status == 1);
  CHECK(how.errors.find("quic_client: the output: No space left on device\n") != std::string::npos);
}

TEST_CASE("the QUIC client gets a file whole from the distribution's server, and moves to another address meanwhile") {
  const site here;
  const their_server server(here);
  const program_end how = our_client(here, "::1", "/file.bin", "localhost", {"2001:db8::2", "1000000"});
  CHECK(how.exit_status == 0);
  CHECK(how.errors == "");
  CHECK(here.has("ours"));
  const std::regex said("status 200, 5000000 octets in (\\d+) datagrams \\((\\d+) ECT, 0 CE\\), migrations 1\n");
  std::smatch counts;
  INFO(how.output);
  REQUIRE(std::regex_match(how.output, counts, said));
  CHECK(std::stoull(counts[2].str()) + 40 > std::stoull(counts[1].str()));
}

TEST_CASE("the QUIC server answers from the address that was asked, and follows the client to another one") {
  const site here;
  our_server server(here);
  // At a wildcard address the kernel would choose the source address; the client takes packets of the asked one only.
  const program_end how = our_client(here, "2001:db8::1", "/file.bin", "localhost", {"2001:db8::2", "1000000"});
  CHECK(how.exit_status == 0);
  CHECK(how.errors == "");
  CHECK(here.has("ours"));
  const auto ended = server.stop();
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].migrations == 1);
  CHECK(ended[0].sent_ect + 40 > ended[0].sent);
}

TEST_CASE("the QUIC client refuses a server whose certificate names another host") {
  const site here;
  our_server server(here);
  CHECK(our_client(here, "::1", "/file.bin", "::1").exit_status == 0);
  const program_end how = our_client(here, "::1", "/file.bin", "elsewhere.example");
  CHECK(how.exit_status == 1);
  CHECK(how.errors.find("Certificate is bad") != std::string::npos);
  CHECK(content_of(here.files.path("ours")).empty());
}

TEST_CASE("the QUIC server serves no file outside of its directory, and goes on") {
  const site here;
  our_server server(here);
  std::filesystem::create_symlink("../secret", here.files.path("served/way_out"));
  for (const char* path : {"/../secret", "/way_out", "/missing", "/"}) {
    INFO(path);
    const program_end how = our_client(here, "::1", path);
    CHECK(how.exit_status == 1);
    CHECK(how.errors == "quic_client: status 404\n");
    CHECK(content_of(here.files.path("ours")).empty());
  }
  CHECK(our_client(here, "::1").exit_status == 0);
  CHECK(here.has("ours"));
  CHECK(server.stop().size() == 5);
}

}  // namespace
