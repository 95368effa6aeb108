// The example with metrics: scraped by plain TCP, and asked for its tasks by a signal.
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
#include "support/case/exposition.hpp"
#include "support/machine/network_namespace.hpp"
#include "support/process/program.hpp"
#include "sys/socket/socket.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

const endpoint of_echo{ip_address::loopback(), 7777};
const endpoint of_metrics{ip_address::loopback(), 9100};

file_descriptor connected_to_metrics() {
  file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_STREAM));
  return connect_socket(fd.get(), of_metrics) ? std::move(fd) : file_descriptor();
}

/// The answer to a GET, until the server closes the connection.
std::string scrape() {
  const file_descriptor fd = connected_to_metrics();
  REQUIRE(fd);
  constexpr std::string_view request = "GET /metrics HTTP/1.1\r\nHost: [::1]\r\n\r\n";
  REQUIRE(::send(fd.get(), request.data(), request.size(), 0) == static_cast<ssize_t>(request.size()));
  std::string all;
  std::array<char, 4096> part{};
  for (ssize_t got; (got = ::recv(fd.get(), part.data(), part.size(), 0)) > 0;)
    all.append(part.data(), static_cast<std::size_t>(got));
  return all;
}

TEST_CASE("the example with metrics counts its echoes for a scraper, and prints its tasks at SIGUSR1") {
  const network_namespace alone;
  const auto inside = alone.enter();
  const file_descriptor errors(::memfd_create("errors", MFD_CLOEXEC));
  const std::string errors_file = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(errors.get());
  const auto printed = [&] {
    std::ifstream now(errors_file);
    return std::string(std::istreambuf_iterator<char>(now), {});
  };
  program service(
      {"/bin/sh", "-c", "exec \"$1\" '[::1]:7777' '[::1]:9100' 2>\"$2\"", "sh", EXAMPLE_METRICS, errors_file});
  REQUIRE(eventually([] { return static_cast<bool>(connected_to_metrics()); }));

  const file_descriptor client = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  for (int i = 0; i < 3; ++i) {
    REQUIRE(send_text(client, "hello", of_echo));
    endpoint source;
    CHECK(receive(client, source) == "hello");
  }
  const std::string answer = scrape();
  const auto blank = answer.find("\r\n\r\n");
  REQUIRE(blank != answer.npos);
  CHECK(answer.starts_with("HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  const std::string page = answer.substr(blank + 4);
  CHECK(answer.find("\r\nContent-Length: " + std::to_string(page.size()) + "\r\n") < blank);
  const exposition got = read_exposition(page);
  CHECK(got.values.at("uring6_conn_received_datagrams_total{loop=\"0\",conn=\"echo\"}") == "3");
  CHECK(got.values.at("uring6_conn_sent_datagrams_total{loop=\"0\",conn=\"echo\"}") == "3");
  CHECK(got.values.contains("uring6_loop_turn_seconds_count{loop=\"0\"}"));
  CHECK(got.values.contains("uring6_pool_buffers{loop=\"0\",pool=\"any\"}"));

  service.send_signal(SIGUSR1);
  REQUIRE(eventually([&] { return printed().find("waits for accept") != std::string::npos; }));
  CHECK(printed().find("waits for read_from, fd ") != std::string::npos);
  CHECK(printed().find(" [::1]:7777\n") != std::string::npos);
  service.send_signal(SIGTERM);
  CHECK(service.wait().exit_status == 0);
}

}  // namespace
