#include "uring6/drain_on_stop.hpp"

#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <new>
#include <stdexcept>
#include <vector>

#include "support/case/allocations.hpp"
#include "support/case/coroutines.hpp"
#include "support/machine/environment.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/streams.hpp"
#include "uring6/scope.hpp"
#include "uring6/this_task.hpp"
#include "uring6/timer.hpp"
#include "uring6/with_timeout.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

/// Answers until a read ends, then says goodbye.
task<> answer(packet_conn& pc, endpoint goodbye_to, std::error_code& end) {
  std::array<std::byte, 64> buffer;
  for (;;) {
    const auto got = co_await pc.read_from(buffer);
    if (!got && is_transient(got.error())) continue;
    if (!got) {
      end = got.error();
      break;
    }
    (void)co_await pc.write_to(got->payload, got->source);
  }
  (void)co_await pc.write_to("bye", goodbye_to);
}

TEST_CASE("drain_on_stop: what has arrived is answered after the stop, and the goodbye leaves") {
  need_ipv6();
  event_loop loop;
  // The stop comes at a read, between a read and its write, and at a write.
  for (int turns = 0; turns < 12; ++turns) {
    packet_conn pc = open_conn(loop);
    packet_conn client = open_conn(loop);
    std::error_code end;
    run(loop, [&]() -> task<> {
      scope service;
      service.spawn(drain_on_stop(pc, patience, answer(pc, name_of(client), end)));
      co_await yield();
      for (int i = 0; i < 50; ++i) {
        const auto sent = co_await client.write_to("?", name_of(pc));
        CHECK(sent);
      }
      for (int i = 0; i < turns; ++i) co_await yield();
      service.request_stop();
      co_await service.join();
      CHECK(end == errc::closed);
      std::array<std::byte, 8> buffer;
      int answers = 0;
      for (;;) {
        const auto got = co_await with_timeout(patience, client.read_from(buffer));
        REQUIRE(got);
        if (as_text(got->payload) == "bye") break;
        ++answers;
      }
      CHECK(answers == 50);
    });
  }
}

TEST_CASE("drain_on_stop: a service that ends by itself is awaited, and its exception comes through") {
  need_ipv6();
  event_loop loop;
  packet_conn pc = open_conn(loop);
  run(loop, [&]() -> task<> {
    std::error_code end;
    pc.set_read_deadline(this_task::now() + 1ms).value();
    co_await drain_on_stop(pc, patience, answer(pc, name_of(pc), end));
    CHECK(end == errc::deadline_exceeded);
    const auto thrower = []() -> task<> {
      (void)co_await sleep_for(0s);
      throw std::runtime_error("inside");
    };
    bool thrown = false;
    try {
      co_await drain_on_stop(pc, patience, thrower());
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    CHECK(thrown);
  });
}

TEST_CASE("drain_on_stop: the limit ends a service that does not end") {
  need_ipv6();
  event_loop loop;
  packet_conn pc = open_conn(loop);
  run(loop, [&]() -> task<> {
    std::error_code end;
    const auto sleeper = [](std::error_code& into) -> task<> {
      const auto slept = co_await sleep_for(1h);
      if (!slept) into = slept.error();
    };
    scope service;
    service.spawn(drain_on_stop(pc, 1ms, sleeper(end)));
    co_await yield();
    service.request_stop();
    co_await service.join();
    CHECK(end == errc::canceled);
  });
}

TEST_CASE("drain_on_stop: where the conn cannot stop receiving, the stop reaches the service at once") {
  need_ipv6();
  event_loop loop;
  packet_conn pc = open_conn(loop);
  const int on = 1;
  REQUIRE(::setsockopt(pc.native_handle(), SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof on) == 0);
  run(loop, [&]() -> task<> {
    std::error_code end;
    scope service;
    service.spawn(drain_on_stop(pc, patience, answer(pc, name_of(pc), end)));
    co_await yield();
    service.request_stop();
    co_await service.join();
    CHECK(end == errc::canceled);
  });
}

TEST_CASE("drain_on_stop: without memory at the stop, the service ends all the same") {
  need_ipv6();
  event_loop loop;
  for (std::size_t nth = 1; nth <= 8; ++nth) {
    CAPTURE(nth);
    packet_conn pc = open_conn(loop);
    std::error_code end;
    run(loop, [&]() -> task<> {
      constexpr auto no_limit = std::chrono::steady_clock::duration::max();
      scope service;
      service.spawn(drain_on_stop(pc, no_limit, answer(pc, name_of(pc), end)));
      co_await yield();
      if (!fail_allocation(nth)) SKIP("ThreadSanitizer has operators of its own");
      service.request_stop();
      while (!end && failed_allocations() == 0) co_await yield();
      fail_allocation(0);
      bool refused = false;
      try {
        co_await service.join();
      } catch (const std::bad_alloc&) {
        refused = true;
      }
      const bool told = end == errc::closed || end == errc::canceled;
      CHECK((told || refused));
    });
    fail_allocation(0);
  }
}

TEST_CASE("drain_on_stop: connections that a listener has answered are accepted after the stop") {
  need_ipv6();
  event_loop loop;
  auto listener = open_listener(loop);
  run(loop, [&]() -> task<> {
    int accepted = 0;
    const auto accept_all = [](tcp_listener& at, int& count) -> task<> {
      for (;;) {
        const auto one = co_await at.accept();
        if (!one && is_transient(one.error())) continue;
        if (!one) co_return;
        ++count;
      }
    };
    scope service;
    service.spawn(drain_on_stop(listener, patience, accept_all(listener, accepted)));
    co_await yield();
    std::vector<file_descriptor> clients;
    for (int i = 0; i < 50; ++i) clients.push_back(plain_client(name_of(listener)));
    service.request_stop();
    co_await service.join();
    CHECK(accepted == 50);
  });
}

}  // namespace
