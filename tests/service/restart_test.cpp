// A service is replaced while it works: the new process joins the port, the old one leaves it. No query is lost. 5
// restarts at each address; 100 with URING6_LONG=1 (`tools/test --long`).
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/case/eventually.hpp"
#include "support/machine/environment.hpp"
#include "support/process/long_run.hpp"
#include "support/process/program.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/address.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// Asks from many sockets, each with one query under way, so that no buffer overflows and every query may be missed.
class clients {
 public:
  explicit clients(const endpoint& server) {
    for (one& each : all_) {
      each.fd = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
      or_throw(connect_socket(each.fd.get(), server));
    }
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }

  std::uint64_t answered() const noexcept { return answered_; }
  std::uint64_t lost() const noexcept { return lost_; }
  steady_clock::duration longest_wait() const noexcept { return longest_wait_; }

  /// Waits for the answers that are due.
  void end() {
    thread_.request_stop();
    thread_.join();
  }

 private:
  struct one {
    file_descriptor fd;
    std::uint64_t number = 0;
    steady_clock::time_point asked{};
    bool waits = false;
  };
  // After that long without an answer a query counts as lost. No answer takes that long, because loopback loses
  // nothing.
  static constexpr auto patience = 5s;

  void ask(one& from) {
    ++from.number;
    from.asked = steady_clock::now();
    from.waits = ::send(from.fd.get(), &from.number, sizeof from.number, 0) == sizeof from.number;
    if (!from.waits) ++lost_;
  }

  void take_answer(one& from) {
    std::uint64_t number = 0;
    if (::recv(from.fd.get(), &number, sizeof number, MSG_DONTWAIT) != sizeof number || number != from.number) return;
    longest_wait_ = std::max(longest_wait_, steady_clock::now() - from.asked);
    from.waits = false;
    ++answered_;
  }

  void run(const std::stop_token& stop) {
    std::array<pollfd, count> polls{};
    for (;;) {
      bool one_waits = false;
      for (std::size_t i = 0; i < count; ++i) {
        one& each = all_[i];
        if (each.waits && steady_clock::now() - each.asked > patience) {
          each.waits = false;
          ++lost_;
        }
        if (!each.waits && !stop.stop_requested()) ask(each);
        one_waits = one_waits || each.waits;
        polls[i] = {each.fd.get(), POLLIN, 0};
      }
      if (stop.stop_requested() && !one_waits) return;
      ::poll(polls.data(), count, 100);
      for (std::size_t i = 0; i < count; ++i) {
        if (polls[i].revents != 0) take_answer(all_[i]);
      }
    }
  }

  static constexpr std::size_t count = 64;
  std::array<one, count> all_;
  std::atomic<std::uint64_t> answered_{0};
  std::atomic<std::uint64_t> lost_{0};
  steady_clock::duration longest_wait_{};  // of the thread; read after its end
  std::jthread thread_;
};

/// The number of UDP sockets at a port, from /proc/net/udp6: "sl: address:PORT address:port …".
int sockets_at(std::uint16_t port) {
  std::ifstream table("/proc/net/udp6");
  const std::string wanted = fmt::format(":{:04X}", port);
  int found = 0;
  for (std::string number, local, rest; table >> number >> local && std::getline(table, rest);) {
    if (local.ends_with(wanted)) ++found;
  }
  return found;
}

std::uint16_t free_udp_port() {
  const file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  or_throw(bind_socket(fd.get(), endpoint{ip_address::loopback(), 0}));
  return or_throw(local_endpoint(fd.get())).port;
}

constexpr int loops = 2;  // of the responder

void restart_under_load(const char* address, int restarts) {
  const std::uint16_t port = free_udp_port();
  const auto start = [&] {
    return std::make_unique<program>(std::vector<std::string>{URING6_RESPONDER, fmt::format("[{}]:{}", address, port)});
  };
  auto serving = start();
  REQUIRE(eventually([&] { return sockets_at(port) == loops; }));
  clients all({ip_address::loopback(), port});
  REQUIRE(eventually([&] { return all.answered() > 1000; }));
  for (int i = 0; i < restarts; ++i) {
    auto next = start();
    REQUIRE(eventually([&] { return sockets_at(port) == 2 * loops; }));
    serving->send_signal(SIGTERM);
    const program_end end = serving->wait();
    INFO(end.errors);
    REQUIRE(end.exit_status == 0);
    serving = std::move(next);
  }
  all.end();
  INFO(fmt::format("{} restarts at [{}]: {} answered, the longest wait took {} ms", restarts, address, all.answered(),
                   all.longest_wait() / 1ms));
  CHECK(all.lost() == 0);
  serving->send_signal(SIGTERM);
  CHECK(serving->wait().exit_status == 0);
}

TEST_CASE("service: rolling restarts of a responder with two loops lose no query", "[threads][long]") {
  need_ipv6();
  const int restarts = long_run() ? 100 : 5;
  restart_under_load("::1", restarts);
  restart_under_load("::", restarts);
}

}  // namespace
