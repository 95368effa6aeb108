// The sample service with clients that come, stall, vanish and are killed; for 60 seconds with `tools/test --long`.
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "support/case/eventually.hpp"
#include "support/machine/environment.hpp"
#include "support/process/long_run.hpp"
#include "support/process/program.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/address.hpp"

extern char** environ;

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

class running_service {
 public:
  explicit running_service(const endpoint& where) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    output_ = file_descriptor(ends[0]);
    const file_descriptor input(ends[1]);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, input.get(), STDOUT_FILENO);
    std::string program = URING6_SERVICE;
    std::string address = where.to_string();
    char* arguments[] = {program.data(), address.data(), nullptr};
    REQUIRE(::posix_spawn(&process_, program.c_str(), &actions, nullptr, arguments, environ) == 0);
    ::posix_spawn_file_actions_destroy(&actions);
  }
  running_service(const running_service&) = delete;
  running_service& operator=(const running_service&) = delete;
  ~running_service() {
    if (process_ > 0) {
      ::kill(process_, SIGKILL);
      ::waitpid(process_, nullptr, 0);
    }
  }

  std::size_t descriptors() const {
    const auto all = std::filesystem::directory_iterator("/proc/" + std::to_string(process_) + "/fd");
    return static_cast<std::size_t>(std::distance(all, {}));
  }
  void request_end() const { REQUIRE(::kill(process_, SIGTERM) == 0); }

  /// The exit status, or -1 if a signal killed it.
  int wait() {
    int status = 0;
    REQUIRE(::waitpid(std::exchange(process_, 0), &status, 0) > 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string output() const {
    std::string text;
    std::array<char, 4096> part;
    for (ssize_t got; (got = ::read(output_.get(), part.data(), part.size())) > 0;)
      text.append(part.data(), static_cast<std::size_t>(got));
    return text;
  }

 private:
  pid_t process_ = 0;
  file_descriptor output_;
};

class client {
 public:
  static std::optional<client> connect(const endpoint& to) {
    file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_STREAM));
    const sockaddr_in6 name = to.to_sockaddr();
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) return std::nullopt;
    return client(std::move(fd));
  }
  bool send(const std::string& text) const {
    return ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL) == std::ssize(text);
  }
  /// The octets up to the end, or the first `most` of them.
  std::string receive(std::size_t most) const {
    std::string text(most, '\0');
    std::size_t got = 0;
    while (got < most) {
      const ssize_t some = ::recv(fd_.get(), text.data() + got, most - got, 0);
      if (some <= 0) break;
      got += static_cast<std::size_t>(some);
    }
    text.resize(got);
    return text;
  }
  void reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    fd_ = file_descriptor();
  }
  int fd() const { return fd_.get(); }

 private:
  explicit client(file_descriptor fd) : fd_(std::move(fd)) {}
  file_descriptor fd_;
};

/// A process that talks to the service and is killed in the middle of it.
void be_killed(const client& with) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    for (;;) {
      char some[512] = {};
      (void)!::send(with.fd(), some, sizeof some, MSG_NOSIGNAL);
      (void)!::recv(with.fd(), some, sizeof some, 0);
    }
  }
  ::usleep(500);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

endpoint free_port() {
  const file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_STREAM));
  or_throw(bind_socket(fd.get(), endpoint{ip_address::loopback(), 0}));
  return or_throw(local_endpoint(fd.get()));
}

/// The number of sockets that listen at a port, from /proc/net/tcp6: "sl: address:PORT address:port STATE …".
int listeners_at(std::uint16_t port) {
  std::ifstream table("/proc/net/tcp6");
  const std::string wanted = fmt::format(":{:04X}", port);
  int count = 0;
  for (std::string number, local, remote, state, rest;
       table >> number >> local >> remote >> state && std::getline(table, rest);) {
    if (local.ends_with(wanted) && state == "0A") ++count;
  }
  return count;
}

TEST_CASE("service: survives clients that come, stall, vanish and are killed, and ends in order", "[threads][long]") {
  need_ipv6();
  const endpoint where = free_port();
  running_service service(where);
  REQUIRE(eventually([&] { return client::connect(where).has_value(); }));
  // Both of its listeners share the port; the first client has ended.
  REQUIRE(eventually([&] { return listeners_at(where.port) == 2; }));
  std::size_t before = 0;
  REQUIRE(eventually([&] { return std::exchange(before, service.descriptors()) == service.descriptors(); }));

  const auto end = steady_clock::now() + (long_run() ? 60s : 3s);
  std::minstd_rand chance(7);
  std::vector<client> stalled;
  int echoed = 0;
  int shown_the_door = 0;
  for (int round = 0; steady_clock::now() < end; ++round) {
    auto one = client::connect(where);
    REQUIRE(one.has_value());
    switch (chance() % 5) {
      case 0:
      case 1: {
        const std::string text = "client " + std::to_string(round) + std::string(chance() % 9000, '.');
        REQUIRE(one->send(text));
        REQUIRE(one->receive(text.size()) == text);
        ++echoed;
        break;
      }
      case 2:
        stalled.push_back(std::move(*one));
        break;
      case 3:
        (void)one->send("gone before the answer");
        one->reset();
        break;
      default:
        if (round % 4 == 0) be_killed(*one);
    }
    if (stalled.size() == 100) {
      for (const client& each : stalled) {
        REQUIRE(each.receive(1).empty());  // the server has closed it, not the test
        ++shown_the_door;
      }
      stalled.clear();
    }
  }
  stalled.clear();
  CHECK(echoed > 0);
  CHECK(eventually([&] { return service.descriptors() <= before; }));

  const auto last = client::connect(where);  // silent to the end: its deadline ends it, within the limit of the drain
  service.request_end();
  CHECK(service.wait() == 0);
  const std::string said = service.output();
  CHECK(said.find("\nend: open 0 clients ") != said.npos);
  for (const char* loop : {"\nloop 0: enters=", "\nloop 1: enters="}) CHECK(said.find(loop) != said.npos);
  if (shown_the_door > 0) CHECK(said.find("late 0 bytes", said.find("\nend:")) == said.npos);
  CHECK_FALSE(client::connect(where).has_value());
}

TEST_CASE("service: runs, or reports what the kernel forbids and fails", "[environment]") {
  const endpoint where = has_ipv6() ? free_port() : endpoint{ip_address::loopback(), 9};
  program service({URING6_SERVICE, where.to_string()});
  const auto ended = [&] {
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(service.id()), &info, WEXITED | WNOHANG | WNOWAIT);
    return info.si_pid != 0;
  };
  bool served = false;
  // If it cannot listen its loops run without work until the signal, and then it fails.
  const auto loops_run = [&] {
    const auto threads = std::filesystem::directory_iterator("/proc/" + std::to_string(service.id()) + "/task");
    return std::distance(threads, {}) > 2;
  };
  REQUIRE(eventually([&] {
    served = has_ipv6() && client::connect(where).has_value();
    return served || ended() || (!has_ipv6() && loops_run());
  }));
  if (!ended()) service.send_signal(SIGTERM);
  const program_end end = service.wait();
  INFO(end.output << end.errors);

  std::string reason;  // where io_uring is forbidden it serves by readiness
  if (!has_ipv6()) reason = "no IPv6 socket can be opened";
  // Its three loops lock more memory than one, so a single loop of the test would not show it.
  if (reason.empty() && !served && !memory_may_be_locked()) reason = "RLIMIT_MEMLOCK";
  CHECK(served == reason.empty());
  CHECK((end.exit_status == 0) == reason.empty());
  CHECK_THAT(end.errors, Catch::Matchers::ContainsSubstring(reason));
}

TEST_CASE("service: is a program of less than 80 lines") {
  std::ifstream source(URING6_SERVICE_SOURCE);
  REQUIRE(source);
  const auto lines = std::count(std::istreambuf_iterator<char>(source), {}, '\n');
  CHECK(lines > 10);
  CHECK(lines < 80);
}

}  // namespace
