#include "uring6/signals.hpp"

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/descriptors.hpp"
#include "support/machine/environment.hpp"
#include "support/process/pipe.hpp"
#include "support/traffic/conns.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_any.hpp"
#include "uring6/with_timeout.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

bool is_blocked(int number) {
  sigset_t now;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &now);
  return ::sigismember(&now, number) == 1;
}

void queue_to_self(int number, int value) {
  sigval with{};
  with.sival_int = value;
  require(::sigqueue(::getpid(), number, with) == 0, "sigqueue");
}

/// Sends a signal to the process 1,000 times a second while this object lives.
class ticking {
 public:
  explicit ticking(int number) {
    sigevent how{};
    how.sigev_notify = SIGEV_SIGNAL;
    how.sigev_signo = number;
    REQUIRE(::timer_create(CLOCK_MONOTONIC, &how, &timer_) == 0);
    const itimerspec every{.it_interval = {.tv_sec = 0, .tv_nsec = 1'000'000},
                           .it_value = {.tv_sec = 0, .tv_nsec = 1'000'000}};
    REQUIRE(::timer_settime(timer_, 0, &every, nullptr) == 0);
  }
  ticking(const ticking&) = delete;
  ticking& operator=(const ticking&) = delete;
  ~ticking() { ::timer_delete(timer_); }

 private:
  timer_t timer_{};
};

std::atomic<int> handled{0};

/// A handler without SA_RESTART: every system call that sleeps ends with EINTR.
class interrupting {
 public:
  explicit interrupting(int number) : number_(number) {
    handled = 0;
    struct sigaction action {};
    action.sa_handler = [](int) { ++handled; };
    REQUIRE(::sigaction(number, &action, &before_) == 0);
  }
  interrupting(const interrupting&) = delete;
  interrupting& operator=(const interrupting&) = delete;
  ~interrupting() { ::sigaction(number_, &before_, nullptr); }

 private:
  int number_;
  struct sigaction before_ {};
};

/// Sends `count` numbered datagrams to itself, one after the other, and counts those that arrive.
task<> exchange(packet_conn& pc, std::uint64_t count, std::uint64_t& lost) {
  const endpoint self = name_of(pc);
  std::array<std::byte, 64> buffer{};
  for (std::uint64_t i = 0; i < count; ++i) {
    const numbered payload(i);
    const auto sent = co_await pc.write_to(payload, self);
    REQUIRE(sent.has_value());
    const auto got = co_await pc.read_from(buffer);
    REQUIRE(got.has_value());
    if (number_in(got->payload) != i) ++lost;
    if (i % 16 == 0) co_await sleep_for(200us);  // sleeps now and then, so that signals interrupt a sleep, too
  }
}

TEST_CASE("signals: a signal is awaited, with its sender and its value") {
  event_loop loop;
  signals usr(loop, {SIGUSR1, SIGUSR2});
  run(loop, [&]() -> task<> {
    ::kill(::getpid(), SIGUSR1);
    const auto first = co_await usr.next();
    REQUIRE(first.has_value());
    CHECK(first->number == SIGUSR1);
    CHECK(first->code == SI_USER);
    CHECK(first->sender == ::getpid());
    CHECK(first->user == ::getuid());
    beside sender(loop, [&]() -> task<> {
      co_await sleep_for(1ms);
      queue_to_self(SIGUSR2, 42);
    });
    const auto second = co_await usr.next();
    REQUIRE(second.has_value());
    CHECK(second->number == SIGUSR2);
    CHECK(second->code == SI_QUEUE);
    CHECK(second->value == 42);
    co_await sender.join();
  });
}

TEST_CASE("signals: a signal to the loop's thread alone is awaited, too") {
  event_loop loop;
  signals usr(loop, {SIGUSR1});
  run(loop, [&]() -> task<> {
    beside sender(loop, [&]() -> task<> {
      co_await sleep_for(1ms);
      ::pthread_kill(::pthread_self(), SIGUSR1);
    });
    const auto got = co_await usr.next();
    REQUIRE(got.has_value());
    CHECK(got->number == SIGUSR1);
    co_await sender.join();
  });
}

TEST_CASE("signals: the signal mask is restored when the last object is destroyed") {
  event_loop loop;
  REQUIRE_FALSE(is_blocked(SIGUSR1));
  const std::size_t before = open_descriptors();
  {
    auto first = std::make_unique<signals>(loop, std::initializer_list<int>{SIGUSR1, SIGUSR2});
    signals second(loop, {SIGUSR1});
    CHECK(is_blocked(SIGUSR1));
    CHECK(is_blocked(SIGUSR2));
    first.reset();
    CHECK(is_blocked(SIGUSR1));
    CHECK_FALSE(is_blocked(SIGUSR2));
    signals moved = std::move(second);
    CHECK(is_blocked(SIGUSR1));
  }
  CHECK_FALSE(is_blocked(SIGUSR1));
  CHECK(open_descriptors() == before);

  sigset_t own;
  ::sigemptyset(&own);
  ::sigaddset(&own, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &own, nullptr);
  { const signals third(loop, {SIGUSR1}); }
  CHECK(is_blocked(SIGUSR1));
  ::pthread_sigmask(SIG_UNBLOCK, &own, nullptr);
}

TEST_CASE("signals: a signal that cannot be awaited is refused, and none is blocked") {
  event_loop loop;
  for (const int number : {0, -1, 1000, SIGKILL, SIGSTOP, SIGSEGV, 32}) {
    const std::array numbers{SIGUSR1, number};
    const auto made = signals::open(loop, numbers);
    REQUIRE_FALSE(made.has_value());
    CHECK(made.error() == errc::out_of_range);
    CHECK_FALSE(is_blocked(SIGUSR1));
  }
  CHECK(signals::open(loop, {}).error() == std::errc::invalid_argument);
  CHECK_THROWS_AS(signals(loop, {SIGKILL}), std::system_error);
}

TEST_CASE("signals: a wait that is stopped, times out or is moved from has taken no signal") {
  event_loop loop;
  signals usr(loop, {SIGUSR1});
  run(loop, [&]() -> task<> {
    const auto late = co_await with_timeout(1ms, usr.next());
    CHECK(late.error() == errc::deadline_exceeded);

    bool canceled = false;
    beside waiting(loop, [&]() -> task<> {
      const auto got = co_await usr.next();
      canceled = !got && got.error() == errc::canceled;
    });
    co_await yield();
    ::kill(::getpid(), SIGUSR1);
    waiting.request_stop();
    co_await waiting.join();
    CHECK(canceled);

    const auto got = co_await usr.next();
    REQUIRE(got.has_value());
    CHECK(got->number == SIGUSR1);

    signals moved = std::move(usr);
    const auto empty = co_await usr.next();
    CHECK(empty.error() == errc::closed);
  });
}

TEST_CASE("signals: a loop may be destroyed before a wait, and a wait before its loop") {
  auto loop = std::make_unique<event_loop>();
  signals usr(*loop, {SIGUSR1});
  std::unique_ptr<beside> survivor;
  run(*loop, [&]() -> task<> {
    const auto wait = [&]() -> task<> { (void)co_await usr.next(); };
    auto destroyed = std::make_unique<beside>(*loop, wait);
    survivor = std::make_unique<beside>(*loop, wait);
    co_await sleep_for(1ms);
    destroyed.reset();
  });
  loop.reset();
  CHECK_FALSE(survivor->ended());
  survivor.reset();
  event_loop other;
  run(other, [&]() -> task<> {
    const auto foreign = co_await usr.next();
    CHECK(foreign.error() == errc::wrong_thread);
  });
}

TEST_CASE("signals: a thousand a second interrupt a busy loop, and it loses no datagram") {
  need_ipv6();
  event_loop loop;
  packet_conn pc = open_conn(loop);
  const interrupting handler(SIGRTMIN);
  const ticking timer(SIGRTMIN);
  std::uint64_t lost = 0;
  run(loop, [&]() -> task<> {
    // Repeats until enough signals came, however fast the machine is.
    do co_await exchange(pc, 500, lost);
    while (handled < 300);
  });
  CHECK(lost == 0);
}

TEST_CASE("signals: a thousand queued signals reach a busy loop, in order", "[threads]") {
  need_ipv6();
  constexpr int count = 1000;
  event_loop loop;
  packet_conn pc = open_conn(loop);
  signals queued(loop, {SIGRTMIN});
  std::uint64_t lost = 0;
  run(loop, [&]() -> task<> {
    beside traffic(loop, [&]() -> task<> { co_await exchange(pc, 2000, lost); });
    std::jthread sender([] {
      for (int i = 0; i < count; ++i) {
        queue_to_self(SIGRTMIN, i);
        std::this_thread::sleep_for(100us);
      }
    });
    for (int i = 0; i < count; ++i) {
      const auto got = co_await queued.next();
      REQUIRE(got.has_value());
      REQUIRE(got->value == i);
    }
    sender.join();
    co_await traffic.join();
  });
  CHECK(lost == 0);
}

TEST_CASE("signals: in a when_any with a timer no signal is lost", "[threads]") {
  constexpr int count = 300;
  event_loop loop;
  signals queued(loop, {SIGRTMIN});
  run(loop, [&]() -> task<> {
    std::jthread sender([] {
      for (int i = 0; i < count; ++i) {
        queue_to_self(SIGRTMIN, i);
        if (i % 3 == 0) std::this_thread::sleep_for(50us);
      }
    });
    int seen = 0;
    while (seen < count) {
      const auto first = co_await when_any(queued.next(), sleep_for(20us));
      if (first.index != 0) continue;
      const auto& got = std::get<0>(first.value);
      REQUIRE(got.has_value());
      REQUIRE(got->value == seen);
      ++seen;
    }
    sender.join();
  });
}

}  // namespace
