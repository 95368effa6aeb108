// Each operator new of the runtime's operations fails once: the call gives an error or throws std::bad_alloc, nothing
// hangs, ends the program or is leaked, and the loop works on.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <latch>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "support/case/allocations.hpp"
#include "support/machine/environment.hpp"
#include "support/machine/memory_shortage.hpp"
#include "support/process/forked.hpp"
#include "support/process/pipe.hpp"
#include "support/traffic/ring_operations.hpp"
#include "uring6/channel.hpp"
#include "uring6/descriptor.hpp"
#include "uring6/event.hpp"
#include "uring6/mutex.hpp"
#include "uring6/resolve.hpp"
#include "uring6/run_blocking.hpp"
#include "uring6/scope.hpp"
#include "uring6/semaphore.hpp"
#include "uring6/signals.hpp"
#include "uring6/stop.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_all.hpp"
#include "uring6/when_any.hpp"
#include "uring6/with_timeout.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

constexpr int thread_pool_size = 16;  // as the header says

/// The first error of several results.
template <class... Results>
std::error_code first_error(const Results&... each) {
  std::error_code error;
  ((error = error || each ? error : std::error_code(each.error())), ...);
  return error;
}

task<int> give(int value) {
  co_await yield();
  co_return value;
}

TEST_CASE("a loop without memory for its construction, its run or a post gives an error") {
  need_ipv6();
  sweep_allocations("create", [](event_loop&, memory_shortage& memory) -> task<std::error_code> {
    memory.begin();
    const auto made = event_loop::create({.spin = 1us, .busy_poll = 1us});
    memory.end();
    co_return made ? std::error_code() : made.error();
  });
  sweep_allocations("poll", [](event_loop&, memory_shortage& memory) -> task<std::error_code> {
    event_loop other;
    int posted = 0;
    memory.begin();
    const auto descriptor = other.descriptor();
    other.post([&posted] { ++posted; });
    const auto polled = other.poll();
    memory.end();
    if (descriptor && polled && posted != 1) co_return make_error_code(errc::malformed);
    co_return first_error(descriptor, polled);
  });
}

/// A loop of its own, on a thread that has run none before.
task<std::error_code> first_run(event_loop&, memory_shortage& memory) {
  std::error_code error;
  std::thread([&] {
    event_loop loop;
    memory.begin();
    try {
      error = loop.run(give(1)) == 1 ? std::error_code() : make_error_code(errc::malformed);
    } catch (const std::bad_alloc&) {
      error = make_error_code(std::errc::not_enough_memory);
    } catch (const std::system_error& failure) {
      error = failure.code();
    }
    memory.end();
  }).join();
  co_return error;
}

TEST_CASE("the first run of a loop on a thread that is short of memory throws") {
  need_ipv6();
  sweep_allocations("first run", first_run);
}

TEST_CASE("sleeps and deadlines without memory for their wait give an error") {
  need_ipv6();
  sweep_allocations("sleep_for", [](event_loop&, memory_shortage& memory) -> task<std::error_code> {
    memory.begin();
    const auto slept = co_await sleep_for(1us);
    memory.end();
    co_return first_error(slept);
  });
  sweep_allocations("with_timeout", [](event_loop&, memory_shortage& memory) -> task<std::error_code> {
    memory.begin();
    const auto slept = co_await with_timeout(1us, sleep_for(1h));
    memory.end();
    if (slept.error() == errc::deadline_exceeded) co_return std::error_code();
    co_return slept.error();
  });
}

TEST_CASE("when_all, when_any and scopes without memory for a child give an error") {
  need_ipv6();
  sweep_allocations("when_all", [](event_loop&, memory_shortage& memory) -> task<std::error_code> {
    memory.begin();
    const auto [slept, value, other] = co_await when_all(sleep_for(1us), give(7), give(8));
    memory.end();
    co_return value + other == 15 ? first_error(slept) : make_error_code(errc::malformed);
  });
  sweep_allocations("when_all of many", [](event_loop&, memory_shortage& memory) -> task<std::error_code> {
    memory.begin();
    std::vector<task<int>> tasks;
    for (int i = 0; i < 20; ++i) tasks.push_back(give(i));
    const auto values = co_await when_all(std::move(tasks));
    memory.end();
    co_return values.size() == 20 ? std::error_code() : make_error_code(errc::malformed);
  });
  sweep_allocations("when_any", [](event_loop&, memory_shortage& memory) -> task<std::error_code> {
    memory.begin();
    const auto first = co_await when_any(sleep_for(1h), give(7));
    memory.end();
    co_return first.index == 1 ? std::error_code() : std::get<0>(first.value).error();
  });
  sweep_allocations("scope", [](event_loop&, memory_shortage& memory) -> task<std::error_code> {
    const auto sleep = []() -> task<> {
      const auto slept = co_await sleep_for(1us);
      if (!slept) throw std::system_error(slept.error());
    };
    const auto parent = co_await this_task::stop_token();
    memory.begin();
    scope children(parent);
    std::exception_ptr failure;
    try {
      for (int i = 0; i < 20; ++i) children.spawn(sleep());
    } catch (...) {
      failure = std::current_exception();
    }
    co_await children.join();
    memory.end();
    if (failure) std::rethrow_exception(failure);
    co_return std::error_code();
  });
}

/// Twenty listeners, so that the stop root's table grows; the stop comes from another thread.
task<std::error_code> stop_from_elsewhere(event_loop&, memory_shortage& memory) {
  std::size_t stopped = 0;
  const auto sleep = [](std::size_t& count) -> task<> {
    const auto slept = co_await sleep_for(1h);
    if (slept.error() == errc::canceled) ++count;
  };
  scope children;
  memory.begin();
  std::exception_ptr failure;
  std::size_t spawned = 0;
  try {
    for (; spawned < 20; ++spawned) children.spawn(sleep(stopped));
  } catch (...) {
    failure = std::current_exception();
  }
  co_await yield();
  std::thread([&children] { children.request_stop(); }).join();
  co_await children.join();
  memory.end();
  if (failure) std::rethrow_exception(failure);
  co_return stopped == spawned ? std::error_code() : make_error_code(errc::malformed);
}

TEST_CASE("a stop from another thread reaches all waiting coroutines, whatever memory there is") {
  need_ipv6();
  sweep_allocations("request_stop", stop_from_elsewhere);
}

template <class Awaited>
task<> await_it(Awaited awaited, std::error_code& error) {
  const auto outcome = co_await awaited();
  if (!outcome) error = outcome.error();
}

/// Waits until another thread lets it go on.
template <class Wait, class LetGo>
task<std::error_code> wait_for_another_thread(memory_shortage& memory, Wait wait, LetGo let_go) {
  scope waiting;
  std::error_code error;
  memory.begin();
  std::exception_ptr failure;
  try {
    waiting.spawn(await_it(wait, error));
  } catch (...) {
    failure = std::current_exception();
  }
  co_await yield();
  co_await yield();
  std::thread([&] { let_go(); }).join();
  co_await waiting.join();
  memory.end();
  if (failure) std::rethrow_exception(failure);
  co_return error;
}

TEST_CASE("a permit, a value or an event of another thread reaches a waiting coroutine, whatever memory there is") {
  need_ipv6();
  sweep_allocations("semaphore", [](event_loop&, memory_shortage& memory) -> task<std::error_code> {
    semaphore permits(0);
    const auto outcome = co_await wait_for_another_thread(
        memory, [&permits] { return permits.acquire(); }, [&permits] { permits.release(); });
    co_return outcome;
  });
  sweep_allocations("mutex", [](event_loop&, memory_shortage& memory) -> task<std::error_code> {
    async_mutex mutex;
    auto held = mutex.try_lock();
    const auto outcome = co_await wait_for_another_thread(
        memory, [&mutex] { return mutex.lock(); }, [&held] { held->unlock(); });
    co_return outcome;
  });
  sweep_allocations("event", [](event_loop&, memory_shortage& memory) -> task<std::error_code> {
    event happened;
    const auto outcome = co_await wait_for_another_thread(
        memory, [&happened] { return happened.wait(); }, [&happened] { happened.set(); });
    co_return outcome;
  });
  sweep_allocations("channel", [](event_loop&, memory_shortage& memory) -> task<std::error_code> {
    channel<int> values(1);
    const auto outcome = co_await wait_for_another_thread(
        memory, [&values] { return values.receive(); }, [&values] { (void)values.try_send(1); });
    co_return outcome;
  });
}

/// Starts every thread that the pool may have: otherwise one may be started at any call, and stays.
task<> start_blocking_threads() {
  std::latch all_run(thread_pool_size);
  const auto wait = [](std::latch& for_all) -> task<> {
    const auto one = [&for_all] { for_all.arrive_and_wait(); };
    (void)co_await run_blocking(one);
  };
  scope calls;
  for (int i = 0; i < thread_pool_size; ++i) calls.spawn(wait(all_run));
  co_await calls.join();
}

/// A call in a process whose pool has no thread yet, with its `nth` allocation failing.
std::string first_blocking_call(std::size_t nth) {
  const short_work work = [](event_loop&, memory_shortage& memory) -> task<std::error_code> {
    memory.begin();
    const auto one = [] { return 1; };
    const auto came = co_await run_blocking(one);
    memory.end();
    co_return first_error(came);
  };
  return in_child([&] {
    const auto came = shortage_detail::attempt(work, nth, false);
    if (!came.works) return std::string("the loop does not work on");
    return came.met ? came.what : "no more allocations" + came.what;
  });
}

TEST_CASE("run_blocking ends without memory for its first thread") {
  need_ipv6();
  if (!fail_allocation(0)) SKIP("the sanitizer has operators of its own");
  std::size_t failed = 0;
  std::string said;
  for (std::size_t nth = 1; nth < 100; ++nth) {
    said = first_blocking_call(nth);
    if (said == "no more allocations") break;
    CAPTURE(nth);
    CHECK((said.empty() || said == "not enough memory"));
    failed += said == "not enough memory";
  }
  CHECK(said == "no more allocations");
  CHECK(failed >= 3);  // the job, the pool and its thread
}

TEST_CASE("run_blocking and resolve end without memory, too") {
  need_ipv6();
  event_loop().run(start_blocking_threads());
  sweep_allocations("run_blocking", [](event_loop&, memory_shortage& memory) -> task<std::error_code> {
    memory.begin();
    const auto one = [] { return run_blocking([] { return 1; }); };
    std::error_code error;
    const auto [a, b, c] = co_await when_all(one(), one(), one());
    memory.end();
    co_return first_error(a, b, c);
  });
  sweep_allocations("resolve", [](event_loop&, memory_shortage& memory) -> task<std::error_code> {
    memory.begin();
    const auto found = co_await resolve("::1", "53");
    memory.end();
    co_return first_error(found);
  });
}

TEST_CASE("descriptors and signals without memory for their wait give an error") {
  need_ipv6();
  sweep_allocations("read and write", [](event_loop&, memory_shortage& memory) -> task<std::error_code> {
    const auto ends = make_pipe();
    std::array<std::byte, 4> in{};
    memory.begin();
    const auto written = co_await fd::write(ends.write.get(), as_payload("four"));
    const auto read_back = co_await fd::read(ends.read.get(), in);
    const auto ready = co_await fd::poll(ends.write.get(), poll_events::writable);
    memory.end();
    co_return first_error(written, read_back, ready);
  });
  sweep_allocations("signals", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    sigset_t set;  // blocked, so that a signal that is not awaited does not end the program
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGUSR1);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    memory.begin();
    signals hears(loop, {SIGUSR1});
    ::raise(SIGUSR1);
    const auto told = co_await hears.next();
    memory.end();
    co_return first_error(told);
  });
}

/// More operations in flight than the ring has slots at first.
task<std::error_code> many_in_flight(event_loop&, memory_shortage& memory) {
  const auto ends = make_pipe();
  const auto wait = [](int fd, std::error_code& error) -> task<> {
    const auto ready = co_await fd::poll(fd, poll_events::readable);
    if (!ready && ready.error() != errc::canceled) error = ready.error();
  };
  std::error_code error;
  scope all;
  for (int i = 0; i < 600; ++i) all.spawn(wait(ends.read.get(), error));
  memory.begin();
  for (int i = 0; i < 5; ++i) co_await yield();
  all.request_stop();
  all.request_stop();
  co_await all.join();
  memory.end();
  co_return error;
}

TEST_CASE("more operations in flight than ever before need memory, and give an error without it") {
  need_ipv6();
  sweep_allocations("600 polls", many_in_flight);
}

/// Operations in flight, and as the last one the first of which the ring has no memory to keep track.
struct one_too_many {
  explicit one_too_many(detail::ring& on) {
    do {
      REQUIRE(all.size() < 100'000);
      all.push_back(std::make_unique<wait_readable>(silent.get()));
      on.queue(*all.back());
      if (!fail_allocation(1, true)) SKIP("ThreadSanitizer has an operator new of its own");
      const std::error_code error = on.enter(false, {});
      fail_allocation(0);
      REQUIRE_FALSE(error);
    } while (all.back()->in_flight());
  }

  file_descriptor silent = counter();
  std::vector<std::unique_ptr<wait_readable>> all;
};

TEST_CASE("an operation that the ring has no memory for ends with that error, and the others work on") {
  need_io_uring();  // by readiness an enter takes memory for more than that
  const auto on = make_ring();
  one_too_many of(*on);
  on->reap();
  REQUIRE(of.all.back()->results.size() == 1);
  CHECK(of.all.back()->result() == -ENOMEM);
  REQUIRE(::eventfd_write(of.silent.get(), 1) == 0);
  drive(*on, [&] { return on->in_flight() == 0; });
  of.all.pop_back();
  for (const auto& each : of.all) REQUIRE(each->result() == POLLIN);
}

TEST_CASE("an operation that waits for memory ends as canceled, like all others, when its ring can submit no more") {
  need_io_uring();
  const auto on = make_ring();
  one_too_many of(*on);
  on->disown();
  on->reap();
  for (const auto& each : of.all) {
    REQUIRE(each->results.size() == 1);
    REQUIRE(each->result() == -ECANCELED);
  }
}

}  // namespace
