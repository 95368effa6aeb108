// The local ports of dials: no dial connects to itself, and several dials share a port.

#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/descriptors.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/network_namespace.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/streams.hpp"
#include "uring6/tcp.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

/// A namespace where the kernel chooses ports between these two.
struct few_ports {
  few_ports(int first, int last) {
    const network_namespace::visit here(space);
    write_sysctl("net/ipv4/ip_local_port_range", std::to_string(first) + " " + std::to_string(last));
  }

  network_namespace space;
};

TEST_CASE("a dial to a port without a listener does not connect to itself") {
  // In the first range most dials would connect to themselves by chance, in the second all of them would.
  for (const int last : {40'005, 40'002}) {
    const few_ports net(40'002, last);
    event_loop loop;
    const network_namespace::visit inside(net.space);
    const std::size_t before = open_descriptors();
    run(loop, [&]() -> task<> {
      for (int i = 0; i < 20; ++i) {
        const auto got = co_await dial_tcp(loop, "tcp6", "[::1]:40002");
        REQUIRE_FALSE(got);
        REQUIRE(got.error() == std::errc::connection_refused);
      }
      // The port is free, and not in the state that a closed connection leaves it in.
      auto listener = or_throw(listen_tcp(loop, "tcp6", "[::1]:40002"));
    });
    CHECK(open_descriptors() == before);
  }
}

TEST_CASE("a dial from a port that the caller chose may connect to itself") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    const endpoint free = [&] { return name_of(open_listener(loop)); }();
    const std::string name = free.to_string();
    const tcp_options from_there{.local = free};
    auto got = co_await dial_tcp(loop, "tcp6", name, from_there);
    REQUIRE(got);
    CHECK(got->local_endpoint() == got->peer_endpoint());
  });
}

TEST_CASE("dials from an address without a port share local ports, if they have several peers") {
  const few_ports net(40'000, 40'003);
  event_loop loop;
  const network_namespace::visit inside(net.space);
  run(loop, [&]() -> task<> {
    const tcp_options from_here{.local = endpoint{ip_address::loopback(), 0}};
    std::vector<tcp_listener> listeners;
    std::vector<tcp_conn> dialed;
    for (const char* name : {"[::1]:1001", "[::1]:1002", "[::1]:1003"}) {
      listeners.push_back(or_throw(listen_tcp(loop, "tcp6", name)));
      for (int i = 0; i < 4; ++i) {
        auto got = co_await dial_tcp(loop, "tcp6", name, from_here);
        REQUIRE(got);
        CHECK(or_throw(got->local_endpoint()).address == ip_address::loopback());
        dialed.push_back(std::move(*got));
      }
    }
    // Four connections to one peer take all ports.
    const auto none = co_await dial_tcp(loop, "tcp6", "[::1]:1001", from_here);
    REQUIRE_FALSE(none);
    CHECK(none.error() == std::errc::address_not_available);
  });
}

}  // namespace
