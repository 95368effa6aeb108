#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <thread>

#include "support/case/coroutines.hpp"
#include "support/machine/descriptors.hpp"
#include "support/machine/environment.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/descriptor.hpp"
#include "uring6/run_blocking.hpp"
#include "uring6/scope.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// A host with an event loop of its own (epoll). It sleeps until the loop's descriptor is readable, or until the time
/// that poll returned, and wakes for no other reason.
class epoll_host {
 public:
  explicit epoll_host(event_loop& loop, std::uint32_t trigger = 0)
      : loop_(loop), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    epoll_event watch{};
    watch.events = EPOLLIN | trigger;
    REQUIRE(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, or_throw(loop.descriptor()), &watch) == 0);
  }

  template <class Condition>
  void run_until(Condition&& condition) {
    for (;;) {
      const auto next = or_throw(loop_.poll());
      if (condition()) return;
      sleep(next);
    }
  }

 private:
  void sleep(const std::optional<steady_clock::time_point>& until) const {
    std::chrono::milliseconds timeout = patience;
    if (until)
      timeout = std::clamp(std::chrono::ceil<std::chrono::milliseconds>(*until - steady_clock::now()), 0ms, timeout);
    epoll_event found{};
    const int count = ::epoll_wait(epoll_.get(), &found, 1, static_cast<int>(timeout.count()));
    if (count == 0 && timeout == patience) throw std::runtime_error("nothing woke the host");
  }

  event_loop& loop_;
  file_descriptor epoll_;
};

bool readable(event_loop& loop, std::chrono::milliseconds limit = 0ms) {
  pollfd look{.fd = or_throw(loop.descriptor()), .events = POLLIN, .revents = 0};
  return ::poll(&look, 1, static_cast<int>(limit.count())) == 1;
}

TEST_CASE("host loop: the descriptor is readable when a completion has come, and only then") {
  need_ipv6();
  event_loop loop;
  REQUIRE(loop.descriptor().has_value());
  CHECK(loop.descriptor() == loop.descriptor());
  packet_conn pc = open_conn(loop);
  std::array<std::byte, 64> buffer{};
  int got = 0;
  scope tasks(loop);
  const auto reader = [&]() -> task<> {
    for (;;) {
      const auto one = co_await pc.read_from(buffer);
      if (!one) co_return;
      ++got;
    }
  };
  tasks.spawn(reader());
  const auto next = loop.poll();
  REQUIRE(next.has_value());
  CHECK_FALSE(next->has_value());
  CHECK_FALSE(readable(loop));

  // The datagram comes from outside of the ring: the completion is task work of this thread, and this thread has not
  // entered the kernel since.
  plain_sender outside(name_of(pc));
  outside.send(as_payload("x"));
  CHECK(readable(loop, patience));  // another thread of the kernel may deliver the datagram
  CHECK(got == 0);
  REQUIRE(loop.poll().has_value());
  CHECK(got == 1);
  CHECK_FALSE(readable(loop));
  tasks.request_stop();
  REQUIRE(loop.poll().has_value());
  CHECK(tasks.running() == 0);
}

TEST_CASE("host loop: under epoll, level and edge triggered, no datagram stays unread", "[threads]") {
  need_ipv6();
  struct way {
    std::uint32_t trigger;
    std::chrono::microseconds spin;  // the host sleeps, with and without a spin of the loop
  };
  for (const auto [trigger, spin] : {way{0, 0us}, way{EPOLLET, 0us}, way{0, 500us}}) {
    constexpr int count = 1'000;
    event_loop loop(loop_options{.spin = spin});
    packet_conn pc = open_conn(loop);
    std::array<std::byte, 64> buffer{};
    std::atomic<int> got{0};
    scope tasks(loop);
    const auto reader = [&]() -> task<> {
      while (got < count) {
        const auto one = co_await pc.read_from(buffer);
        REQUIRE(one.has_value());
        ++got;
        got.notify_one();
      }
    };
    tasks.spawn(reader());
    epoll_host host(loop, trigger);
    const file_descriptor out = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
    REQUIRE(connect_socket(out.get(), name_of(pc)).has_value());
    std::jthread sender([&](const std::stop_token& given_up) {
      const std::stop_callback end(given_up, [&] {
        got = count + 1;
        got.notify_one();
      });
      for (int i = 0; i < count; ++i) {
        if (::send(out.get(), "x", 1, 0) != 1) return;  // Catch2's assertions belong to the main thread
        // Each datagram must wake the host out of a sleep: no other one comes before it is read.
        got.wait(i);
      }
    });
    host.run_until([&] { return tasks.running() == 0; });
    sender.join();
    CHECK(got == count);
  }
}

TEST_CASE("host loop: posts and threads wake the host each time", "[threads]") {
  constexpr int count = 2'000;
  event_loop loop;
  epoll_host host(loop);
  std::atomic<int> ran{0};
  std::jthread poster([&] {
    for (int i = 0; i < count; ++i) {
      loop.post([&] {
        ++ran;
        ran.notify_one();
      });
      ran.wait(i);
    }
  });
  host.run_until([&] { return ran == count; });
  poster.join();

  bool answered = false;
  scope tasks(loop);
  const auto asks = [&]() -> task<> {
    const auto answer = co_await run_blocking([] { return 42; });
    answered = answer == 42;
  };
  tasks.spawn(asks());
  host.run_until([&] { return tasks.running() == 0; });
  CHECK(answered);
}

// The kernel completes the read within the write to the eventfd. There it defers the notification of the ring's
// descriptor.
TEST_CASE("host loop: an eventfd that a task reads wakes the host each time", "[threads]") {
  constexpr int count = 500;
  event_loop loop;
  epoll_host host(loop);
  const file_descriptor bell(::eventfd(0, EFD_CLOEXEC));
  std::atomic<int> heard{0};
  scope tasks(loop);
  const auto listens = [&]() -> task<> {
    std::array<std::byte, 8> ring_count{};
    while (heard < count) {
      const auto got = co_await fd::read(bell.get(), ring_count);
      REQUIRE(got == 8);
      ++heard;
      heard.notify_one();
    }
  };
  tasks.spawn(listens());
  std::jthread ringer([&] {
    for (int i = 0; i < count; ++i) {
      const std::uint64_t one = 1;
      if (::write(bell.get(), &one, sizeof one) != sizeof one) return;
      heard.wait(i);
    }
  });
  host.run_until([&] { return tasks.running() == 0; });
  CHECK(heard == count);
}

TEST_CASE("host loop: poll says when the next timer is due") {
  event_loop loop;
  scope tasks(loop);
  const auto start = steady_clock::now();
  int woken = 0;
  const auto sleeper = [&](std::chrono::milliseconds time) -> task<> {
    co_await sleep_until(start + time);
    CHECK(steady_clock::now() >= start + time);
    ++woken;
  };
  tasks.spawn(sleeper(400ms));
  tasks.spawn(sleeper(200ms));  // a slow machine, too, has polled by then
  tasks.spawn(sleeper(1h));
  const auto next = loop.poll();
  REQUIRE(next.has_value());
  CHECK(*next == start + 200ms);
  epoll_host host(loop);
  host.run_until([&] { return woken == 2; });
  const auto last = loop.poll();
  REQUIRE(last.has_value());
  CHECK(*last == start + 1h);
}

TEST_CASE("host loop: a task that never waits lets the host run") {
  event_loop loop;
  scope tasks(loop);
  bool stop = false;
  const auto greedy = [&]() -> task<> {
    while (!stop) co_await yield();
  };
  tasks.spawn(greedy());
  const auto next = loop.poll();
  REQUIRE(next.has_value());
  REQUIRE(next->has_value());
  CHECK(**next <= steady_clock::now());
  stop = true;
  REQUIRE(loop.poll().has_value());
  CHECK(tasks.running() == 0);
}

TEST_CASE("host loop: operations that are started outside of a poll are submitted by the next poll") {
  need_ipv6();
  event_loop loop;
  packet_conn pc = open_conn(loop);
  std::array<std::byte, 64> buffer{};
  std::error_code how;
  scope tasks(loop);
  const auto reader = [&]() -> task<> {
    const auto got = co_await pc.read_from(buffer);
    if (!got) how = got.error();
  };
  tasks.spawn(reader());
  REQUIRE(loop.poll().has_value());
  REQUIRE(pc.set_read_deadline(steady_clock::now() + 200ms).has_value());  // after the poll, on a slow machine, too
  const auto next = loop.poll();
  REQUIRE(next.has_value());
  CHECK(next->has_value());
  epoll_host host(loop);
  host.run_until([&] { return tasks.running() == 0; });
  CHECK(how == errc::deadline_exceeded);
}

TEST_CASE("host loop: polling from inside, from another thread or in another loop's turn is an error", "[threads]") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    const auto inside = loop.poll();
    CHECK(inside.error() == std::errc::resource_deadlock_would_occur);
    co_return;
  });
  std::error_code other;
  std::thread([&] { other = loop.poll().error(); }).join();
  CHECK(other == errc::wrong_thread);
}

TEST_CASE("host loop: loop and tasks may be destroyed at any time") {
  need_ipv6();
  const std::size_t before = open_descriptors();
  {
    auto loop = std::make_unique<event_loop>();
    packet_conn pc = open_conn(*loop);
    std::array<std::byte, 64> buffer{};
    auto tasks = std::make_unique<scope>(*loop);
    const auto reader = [&]() -> task<> { (void)co_await pc.read_from(buffer); };
    tasks->spawn(reader());
    REQUIRE(loop->poll().has_value());
    tasks.reset();
    auto late = std::make_unique<scope>(*loop);
    late->spawn(reader());
    REQUIRE(loop->poll().has_value());
    loop.reset();
    late.reset();
  }
  CHECK(open_descriptors() == before);
}

}  // namespace
