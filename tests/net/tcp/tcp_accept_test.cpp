// TCP listeners: each connection is accepted once, in order.

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/descriptors.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/streams.hpp"
#include "uring6/tcp.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_any.hpp"
#include "uring6/with_timeout.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

TEST_CASE("all connections are accepted in order, also more than are accepted ahead") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = open_listener(loop);
    std::vector<file_descriptor> clients;
    for (int i = 0; i < 200; ++i) clients.push_back(plain_client(name_of(listener)));
    for (const file_descriptor& each : clients) {
      auto got = co_await listener.accept();
      REQUIRE(got);
      CHECK(or_throw(got->peer_endpoint()) == or_throw(local_endpoint(each.get())));
    }
  });
}

TEST_CASE("an accept that loses to a timer, a stop or its destruction loses no connection") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = open_listener(loop);
    int accepted = 0;
    int lost = 0;
    for (int i = 0; i < 60; ++i) {
      const auto client = plain_client(name_of(listener));
      std::optional<result<tcp_conn>> got;
      const auto accept = [&]() -> task<> { got = co_await listener.accept(); };
      std::optional<beside> acceptor;
      acceptor.emplace(loop, accept());
      for (int turns = 0; turns < i % 4; ++turns) co_await yield();
      if (i % 2 == 0) {
        acceptor->request_stop();
        co_await acceptor->join();
      }
      acceptor.reset();
      if (!got || !*got) {
        ++lost;
        if (got) CHECK(got->error() == errc::canceled);
        got = co_await listener.accept();
      }
      REQUIRE(got);
      REQUIRE(*got);
      ++accepted;
      CHECK(or_throw((*got)->peer_endpoint()) == or_throw(local_endpoint(client.get())));
    }
    CHECK(accepted == 60);
    CHECK(lost > 0);

    auto late = co_await with_timeout(1ms, listener.accept());
    REQUIRE_FALSE(late);
    CHECK(late.error() == errc::deadline_exceeded);
    const auto client = plain_client(name_of(listener));
    auto in_time = co_await with_timeout(1h, listener.accept());
    REQUIRE(in_time);
    CHECK(or_throw(in_time->peer_endpoint()) == or_throw(local_endpoint(client.get())));
    const auto nobody = co_await when_any(listener.accept(), sleep_for(1ms));
    CHECK(nobody.index == 1);
  });
}

TEST_CASE("several acceptors are served in the order of their arrival, and closing ends them") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = open_listener(loop);
    const endpoint name = name_of(listener);
    std::string order;
    std::vector<std::error_code> errors;
    const auto accept = [&](char who) -> task<> {
      const auto got = co_await listener.accept();
      if (got) {
        order += who;
      } else {
        errors.push_back(got.error());
      }
    };
    beside a(loop, accept('a'));
    beside b(loop, accept('b'));
    beside c(loop, accept('c'));
    beside d(loop, accept('d'));
    co_await yield();
    const auto one = plain_client(name);
    const auto two = plain_client(name);
    co_await a.join();
    co_await b.join();
    CHECK(order == "ab");
    REQUIRE(listener.close());
    co_await c.join();
    co_await d.join();
    CHECK(errors == std::vector<std::error_code>(2, errc::closed));
    // The port can be bound again.
    auto again = listen_tcp(loop, "tcp6", name.to_string());
    CHECK(again);
    // Closing the listener closes the connections that were not accepted.
    auto third = plain_client(name);
    beside e(loop, [&]() -> task<> {
      const auto got = co_await again->accept();
      CHECK(got);
    });
    co_await e.join();
    const auto fourth = plain_client(name);
    co_await yield();
    REQUIRE(again->close());
    std::array<char, 1> octet;
    CHECK(::recv(fourth.get(), octet.data(), 1, 0) <= 0);
  });
}

TEST_CASE("an accept without a free descriptor gives its error, and can be tried again") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = open_listener(loop);
    const auto client = plain_client(name_of(listener));
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const int next = ::dup(0);
    REQUIRE(next >= 0);
    REQUIRE(::close(next) == 0);
    rlimit none = before;
    none.rlim_cur = static_cast<rlim_t>(next);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    const auto refused = co_await listener.accept();
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == std::errc::too_many_files_open);
    const auto accepted = co_await listener.accept();
    CHECK(accepted);
  });
}

TEST_CASE("one accept takes no more connections ahead than the option says") {
  for (const std::size_t ahead : {std::size_t{0}, std::size_t{1}, std::size_t{10}, tcp_options{}.accept_ahead}) {
    event_loop loop;
    run(loop, [&]() -> task<> {
      auto listener = open_listener(loop, {.accept_ahead = ahead});
      std::vector<file_descriptor> clients;
      for (int i = 0; i < 300; ++i) clients.push_back(plain_client(name_of(listener)));
      const std::size_t before = open_descriptors();
      std::vector<tcp_conn> accepted;
      for (std::size_t i = 0; i < clients.size(); ++i) {
        auto got = co_await listener.accept();
        REQUIRE(got);
        accepted.push_back(std::move(*got));
        CHECK(or_throw(accepted[i].peer_endpoint()) == or_throw(local_endpoint(clients[i].get())));
        co_await yield();
        co_await yield();
        CHECK(open_descriptors() <= before + accepted.size() + ahead);
      }
    });
  }
}

TEST_CASE("several acceptors and none ahead: each gets one connection") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = open_listener(loop, {.accept_ahead = 0});
    std::string order;
    std::vector<tcp_conn> accepted;
    const auto accept = [&](char who) -> task<> {
      auto got = co_await listener.accept();
      REQUIRE(got);
      order += who;
      accepted.push_back(std::move(*got));
    };
    beside a(loop, accept('a'));
    beside b(loop, accept('b'));
    beside stopped(loop, [&]() -> task<> {
      const auto got = co_await listener.accept();
      CHECK(got.error() == errc::canceled);
    });
    beside c(loop, accept('c'));
    co_await yield();
    stopped.request_stop();
    co_await stopped.join();
    std::vector<file_descriptor> clients;
    for (int i = 0; i < 5; ++i) clients.push_back(plain_client(name_of(listener)));
    co_await a.join();
    co_await b.join();
    co_await c.join();
    CHECK(order == "abc");
    // The two connections that no accept took wait in the kernel, for the descriptor's next owner.
    const int number = or_throw(listener.release());
    auto next = or_throw(adopt_listener(loop, number));
    for (std::size_t i = 3; i < 5; ++i) {
      const auto got = co_await with_timeout(10s, next.accept());
      REQUIRE(got);
      CHECK(or_throw(got->peer_endpoint()) == or_throw(local_endpoint(clients[i].get())));
    }
  });
}

TEST_CASE("listeners that share a socket and accept none ahead share its connections, too") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto one = open_listener(loop, {.accept_ahead = 0});
    auto two = or_throw(adopt_listener(loop, ::dup(one.native_handle()), {.accept_ahead = 0}));
    std::vector<file_descriptor> clients;
    for (int i = 0; i < 20; ++i) clients.push_back(plain_client(name_of(one)));
    for (int i = 0; i < 20; ++i) {
      const auto got = co_await with_timeout(10s, (i % 2 == 0 ? one : two).accept());
      REQUIRE(got);
      CHECK(or_throw(got->peer_endpoint()) == or_throw(local_endpoint(clients[static_cast<std::size_t>(i)].get())));
    }
  });
}

TEST_CASE("a listener that may accept too many ahead is not opened") {
  event_loop loop;
  CHECK(listen_tcp(loop, "tcp6", "[::1]:0", {.accept_ahead = 65'536}).error() == errc::out_of_range);
  auto listener = open_listener(loop, {.accept_ahead = 65'535});
  CHECK(adopt_listener(loop, listener.native_handle(), {.accept_ahead = 65'536}).error() == errc::out_of_range);
}

TEST_CASE("an acceptor that tries again at once without a free descriptor does not spin") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = open_listener(loop);
    const auto client = plain_client(name_of(listener));
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const int next = ::dup(0);
    REQUIRE(next >= 0);
    REQUIRE(::close(next) == 0);
    rlimit none = before;
    none.rlim_cur = static_cast<rlim_t>(next);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    const auto start = steady_clock::now();
    for (int refused = 0; refused < 4; ++refused) {
      const auto got = co_await listener.accept();
      CHECK(got.error() == std::errc::too_many_files_open);
    }
    // The listener asked the kernel again after 5 ms, 10 ms and 20 ms.
    CHECK(steady_clock::now() - start >= 35ms);
    // The wait for the next try can be stopped like any other.
    const auto late = co_await with_timeout(1ms, listener.accept());
    CHECK(late.error() == errc::deadline_exceeded);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    const auto accepted = co_await listener.accept();
    CHECK(accepted);
  });
}

TEST_CASE("the address of a peer that has reset the connection before it was accepted is known") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = open_listener(loop);
    auto client = plain_client(name_of(listener));
    const endpoint name = or_throw(local_endpoint(client.get()));
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    REQUIRE(::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    REQUIRE(client.close());
    const auto got = co_await listener.accept();
    REQUIRE(got);
    CHECK(got->peer_endpoint() == name);
  });
}

TEST_CASE("dual stack: an IPv4 peer has a v4-mapped address") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = or_throw(listen_tcp(loop, "tcp", "[::]:0"));
    const std::string to = "127.0.0.1:" + std::to_string(name_of(listener).port);
    auto here = co_await dial_tcp(loop, "tcp", to);
    REQUIRE(here);
    auto there = co_await listener.accept();
    REQUIRE(there);
    CHECK(or_throw(there->peer_endpoint()).address == ip_address::v4_mapped({127, 0, 0, 1}));
    CHECK(or_throw(here->peer_endpoint()).address == ip_address::v4_mapped({127, 0, 0, 1}));
  });
}

}  // namespace
