// TCP listeners of a group: a listener for each loop, a task for each connection, and an end that cuts none.
#include "uring6/listen_tcp_group.hpp"

#include <sys/socket.h>

#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "runtime/loop/loop_core.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/descriptors.hpp"
#include "support/machine/environment.hpp"
#include "support/traffic/streams.hpp"
#include "uring6/this_task.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

loop_group_options two_loops() {
  return {.loops = 2, .pin = false};
}

/// Echoes until the peer ends.
task<> echo(tcp_conn peer) {
  std::array<std::byte, 64> buffer;
  for (;;) {
    const auto got = co_await peer.read(buffer);
    if (!got || *got == 0) co_return;
    const auto sent = co_await peer.write(std::span(buffer).first(*got));
    if (!sent) co_return;
  }
}

bool echoes(const file_descriptor& through) {
  char octet = '?';
  return ::send(through.get(), &octet, 1, MSG_NOSIGNAL) == 1 && ::recv(through.get(), &octet, 1, 0) == 1;
}

TEST_CASE("listen_tcp_group: each connection is served on the loop that accepted it, which knows its place",
          "[threads]") {
  need_ipv6();
  loop_group group(two_loops());
  std::array<std::atomic<int>, 2> served{};
  std::atomic<int> wrong{0};
  const auto serve = [&](tcp_conn peer, loop_place here) -> task<> {
    if (&group[here.index] != &here.loop || !here.loop.core()->runs_here()) ++wrong;
    ++served[here.index];
    return echo(std::move(peer));
  };
  const endpoint where = or_throw(listen_tcp_group(group, "tcp6", "[::1]:0", serve));
  std::vector<file_descriptor> clients;
  for (int i = 0; i < 64; ++i) clients.push_back(plain_client(where));
  for (const auto& each : clients) CHECK(echoes(each));
  for (const auto& each : served) CHECK(each > 0);  // a loop gets none by chance once in 2^63
  CHECK(served[0] + served[1] == 64);
  CHECK(wrong == 0);
  clients.clear();
  CHECK(group.drain(10s));
}

TEST_CASE("listen_tcp_group: a drain lets the connections go on, and serves those that waited", "[threads]") {
  need_ipv6();
  loop_group group(two_loops());
  std::atomic<int> served{0};
  const auto serve = [&](tcp_conn peer) -> task<> {
    ++served;
    return echo(std::move(peer));
  };
  const endpoint where = or_throw(listen_tcp_group(group, "tcp6", "[::1]:0", serve, {.handshakes = 20ms}));
  std::vector<file_descriptor> clients;
  for (int i = 0; i < 50; ++i) clients.push_back(plain_client(where));
  bool in_order = false;
  std::jthread drain([&] { in_order = group.drain(60s); });
  // None was served before this, perhaps: all have been answered by the kernel, so all are served.
  for (const auto& each : clients) CHECK(echoes(each));
  CHECK(served == 50);
  for (const auto& each : clients) CHECK(echoes(each));
  clients.clear();
  drain.join();
  CHECK(in_order);
}

TEST_CASE("listen_tcp_group: the end of a drain's limit stops the connections that are left", "[threads]") {
  need_ipv6();
  loop_group group(two_loops());
  const endpoint where = or_throw(listen_tcp_group(group, "tcp6", "[::1]:0", echo, {.handshakes = 1ms}));
  const auto client = plain_client(where);
  CHECK(echoes(client));
  CHECK_FALSE(group.drain(10ms));
  char octet = 0;
  CHECK(::recv(client.get(), &octet, 1, 0) == 0);
}

TEST_CASE("listen_tcp_group: if one listener cannot be opened none stays open", "[threads]") {
  need_ipv6();
  loop_group group(two_loops());
  const std::size_t before = open_descriptors();
  CHECK(listen_tcp_group(group, "nonsense", "[::1]:0", echo).error() == errc::unknown_network);
  CHECK(listen_tcp_group(group, "tcp6", "[2001:db8::1]:0", echo).error() == std::errc::address_not_available);
  CHECK(listen_tcp_group(group, "tcp6", "[::1]", echo).error() == errc::missing_port);
  CHECK(open_descriptors() == before);
  CHECK(group.drain(10s));
  CHECK(listen_tcp_group(group, "tcp6", "[::1]:0", echo).error() == errc::closed);
  CHECK(open_descriptors() < before + 2);
}

TEST_CASE("listen_tcp_group: a thread of the group is refused", "[threads]") {
  need_ipv6();
  loop_group group(two_loops());
  std::atomic<bool> refused{false};
  group.post(1, [&] {
    refused = listen_tcp_group(group, "tcp6", "[::1]:0", echo).error() == std::errc::resource_deadlock_would_occur;
  });
  CHECK(eventually([&] { return refused.load(); }));
}

}  // namespace
