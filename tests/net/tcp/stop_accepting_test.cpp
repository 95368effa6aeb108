// A listener that stops accepting cuts no connection that the kernel has answered.
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <string>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/environment.hpp"
#include "support/traffic/streams.hpp"
#include "uring6/scope.hpp"
#include "uring6/tcp.hpp"
#include "uring6/timer.hpp"
#include "uring6/with_timeout.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

/// A connection whose first segment the kernel has sent; it may not be answered.
file_descriptor begin_to_connect(const endpoint& to) {
  file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK));
  const sockaddr_in6 name = to.to_sockaddr();
  REQUIRE((::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 || errno == EINPROGRESS));
  return fd;
}

bool is_connected(const file_descriptor& fd) {
  pollfd writable{fd.get(), POLLOUT, 0};
  return ::poll(&writable, 1, 0) == 1 && (writable.revents & (POLLERR | POLLHUP)) == 0;
}

/// Accepts to the end; returns how many came, and the end.
struct accepted_to_end {
  std::vector<tcp_conn> all;
  std::error_code end;
};

task<> accept_to_the_end(tcp_listener& listener, accepted_to_end& into) {
  for (;;) {
    auto one = co_await listener.accept();
    if (one) {
      into.all.push_back(std::move(*one));
    } else if (!is_transient(one.error())) {
      into.end = one.error();
      co_return;
    }
  }
}

TEST_CASE("stop_accepting: every connection that the kernel has answered is accepted, and works") {
  need_ipv6();
  event_loop loop;
  for (const std::size_t ahead : {std::size_t{0}, std::size_t{64}}) {
    run(loop, [&]() -> task<> {
      auto listener = open_listener(loop, {.accept_ahead = ahead});
      std::vector<file_descriptor> clients;
      for (int i = 0; i < 100; ++i) clients.push_back(plain_client(name_of(listener)));
      auto first = co_await listener.accept();
      REQUIRE(first);
      const auto stopped = listener.stop_accepting(20ms);
      REQUIRE(stopped);
      accepted_to_end got;
      co_await accept_to_the_end(listener, got);
      CHECK(got.all.size() == 99);
      CHECK(got.end == errc::closed);
      CHECK(listener.is_open());
      CHECK(listener.close());
      for (tcp_conn& each : got.all) {
        const auto sent = co_await each.write("!");
        CHECK(sent);
      }
      char octet = 0;
      for (std::size_t i = 1; i < clients.size(); ++i) CHECK(::recv(clients[i].get(), &octet, 1, 0) == 1);
    });
  }
}

TEST_CASE("stop_accepting: what waits in the kernel is accepted also when the time for handshakes is over") {
  need_ipv6();
  event_loop loop;
  for (const std::size_t ahead : {std::size_t{0}, std::size_t{4}, std::size_t{64}}) {
    CAPTURE(ahead);
    run(loop, [&]() -> task<> {
      auto listener = open_listener(loop, {.accept_ahead = ahead});
      std::vector<file_descriptor> clients;
      for (int i = 0; i < 100; ++i) clients.push_back(plain_client(name_of(listener)));
      REQUIRE(listener.stop_accepting(0ms));
      accepted_to_end got;
      co_await accept_to_the_end(listener, got);
      CHECK(got.all.size() == 100);
      CHECK(got.end == errc::closed);
    });
  }
}

TEST_CASE("stop_accepting: a service that takes longer for a connection than the time for handshakes cuts none") {
  need_ipv6();
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = open_listener(loop, {.accept_ahead = 0});
    const endpoint here = name_of(listener);
    int accepted = 0;
    std::vector<file_descriptor> clients;
    beside service(loop, [&]() -> task<> {
      while (co_await listener.accept()) {
        ++accepted;
        co_await sleep_for(5ms);
      }
    });
    co_await yield();
    for (int i = 0; i < 5; ++i) clients.push_back(plain_client(here));
    REQUIRE(listener.stop_accepting(2ms));
    // The service waits, and the time is over before the loop asks the kernel again.
    const auto until = std::chrono::steady_clock::now() + 5ms;
    while (std::chrono::steady_clock::now() < until) continue;
    co_await service.join();
    CHECK(accepted == 5);
  });
}

TEST_CASE("stop_accepting: a new connection is not answered, and goes to the other listener of the port") {
  need_ipv6();
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto leaver = open_listener(loop, {.reuse_port = true});
    const endpoint here = name_of(leaver);
    REQUIRE(leaver.stop_accepting(20ms));
    std::vector<file_descriptor> late;
    for (int i = 0; i < 3; ++i) late.push_back(begin_to_connect(here));
    for (const auto& each : late) CHECK_FALSE(is_connected(each));
    accepted_to_end got;
    co_await accept_to_the_end(leaver, got);
    CHECK(got.all.empty());
    CHECK(got.end == errc::closed);
    const auto again = co_await leaver.accept();
    CHECK(again.error() == errc::closed);
    // The successor is there when the peers try again.
    auto successor = or_throw(listen_tcp(loop, "tcp6", here, {.reuse_port = true}));
    CHECK(leaver.close());
    for (std::size_t i = 0; i < late.size(); ++i) {
      const auto one = co_await with_timeout(patience, successor.accept());
      CHECK(one);
    }
  });
}

TEST_CASE("stop_accepting: a coroutine that waits gets closed, and a connection that comes in time") {
  need_ipv6();
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = open_listener(loop);
    accepted_to_end got;
    scope waits;
    waits.spawn(accept_to_the_end(listener, got));
    co_await yield();
    const auto client = plain_client(name_of(listener));
    REQUIRE(listener.stop_accepting(20ms));
    co_await waits.join();
    CHECK(got.all.size() == 1);
    CHECK(got.end == errc::closed);
    CHECK(listener.stop_accepting(0ms));
    const auto nothing = co_await listener.accept();
    CHECK(nothing.error() == errc::closed);
    CHECK(listener.close());
    CHECK(listener.stop_accepting().error() == errc::closed);
    CHECK(tcp_listener().stop_accepting().error() == errc::closed);
  });
}

TEST_CASE("stop_accepting: a socket whose filter is locked is refused, and the listener goes on") {
  need_ipv6();
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = open_listener(loop);
    const int on = 1;
    REQUIRE(::setsockopt(listener.native_handle(), SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof on) == 0);
    CHECK(listener.stop_accepting(0ms).error() == std::errc::operation_not_permitted);
    const auto client = plain_client(name_of(listener));
    const auto got = co_await with_timeout(patience, listener.accept());
    CHECK(got);
  });
}

}  // namespace
