#include "uring6/run_blocking.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <latch>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/case/eventually.hpp"
#include "support/process/forked.hpp"
#include "uring6/scope.hpp"
#include "uring6/timer.hpp"
#include "uring6/with_timeout.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

TEST_CASE("run_blocking: returns the value, from another thread without signals", "[threads]") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    const auto where = co_await run_blocking([] { return std::this_thread::get_id(); });
    REQUIRE(where.has_value());
    CHECK(*where != std::this_thread::get_id());
    const auto blocked = co_await run_blocking([] {
      sigset_t now;
      ::pthread_sigmask(SIG_BLOCK, nullptr, &now);
      return ::sigismember(&now, SIGTERM) == 1 && ::sigismember(&now, SIGUSR1) == 1;
    });
    CHECK(blocked == true);
    const auto nothing = co_await run_blocking([] {});
    CHECK(nothing.has_value());
  });
}

TEST_CASE("run_blocking: moves values that can only be moved, and owns its arguments", "[threads]") {
  event_loop loop;
  auto owned = std::make_shared<int>(7);
  const std::weak_ptr<int> watched = owned;
  run(loop, [&]() -> task<> {
    auto work = [owned = std::move(owned)] { return std::make_unique<int>(*owned); };
    auto got = co_await run_blocking(std::move(work));
    REQUIRE(got.has_value());
    CHECK(**got == 7);
  });
  CHECK(eventually([&] { return watched.expired(); }));
}

TEST_CASE("run_blocking: a result is returned as it is, an exception is rethrown", "[threads]") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    const result<int> failed = co_await run_blocking([]() -> result<int> { return fail_errno(ENOENT); });
    CHECK(failed.error() == std::errc::no_such_file_or_directory);
    std::string what;
    try {
      const auto none = co_await run_blocking([]() -> int { throw std::runtime_error("in the thread"); });
      CHECK_FALSE(none.has_value());
    } catch (const std::runtime_error& error) {
      what = error.what();
    }
    CHECK(what == "in the thread");
  });
}

TEST_CASE("run_blocking: the loop goes on while the call runs", "[threads]") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto opened = std::make_shared<std::latch>(1);
    beside other(loop, [&]() -> task<> {
      co_await sleep_for(1ms);
      opened->count_down();  // the call would never end if the loop waited for it
    });
    auto work = [opened] { opened->wait(); };
    const auto done = co_await run_blocking(work);
    CHECK(done.has_value());
    co_await other.join();
  });
}

TEST_CASE("run_blocking: many calls share few threads", "[threads]") {
  event_loop loop;
  auto at_once = std::make_shared<std::atomic<int>>(0);
  auto most = std::make_shared<std::atomic<int>>(0);
  int done = 0;
  const auto one = [&]() -> task<> {
    auto work = [at_once, most] {
      const int now = ++*at_once;
      for (int seen = *most; seen < now && !most->compare_exchange_weak(seen, now);) {
      }
      std::this_thread::sleep_for(200us);
      --*at_once;
    };
    const auto ended = co_await run_blocking(work);
    REQUIRE(ended.has_value());
    ++done;
  };
  run(loop, [&]() -> task<> {
    scope all;
    for (int i = 0; i < 500; ++i) all.spawn(one());
    co_await all.join();
  });
  CHECK(done == 500);
  CHECK(*most > 1);
  CHECK(*most <= 16);
}

TEST_CASE("run_blocking: 16 calls of one turn run at the same time, each on a thread of its own", "[threads]") {
  constexpr int threads = 16;  // as the header says
  event_loop loop;
  auto begun = std::make_shared<std::atomic<int>>(0);
  int met = 0;
  const auto one = [&]() -> task<> {
    auto work = [begun] {
      ++*begun;
      const bool all_came = eventually([&] { return *begun >= threads; });
      if (!all_came) *begun = threads;  // the others need not wait for as long
      return all_came;
    };
    const auto all_came = co_await run_blocking(work);
    if (all_came == true) ++met;
  };
  run(loop, [&]() -> task<> {
    scope all;
    for (int i = 0; i < threads; ++i) all.spawn(one());
    co_await all.join();
  });
  CHECK(met == threads);
}

TEMPLATE_TEST_CASE("run_blocking: a stop ends the wait and sets the function's stop token", "[threads]", stop_token,
                   std::stop_token) {
  event_loop loop;
  auto told = std::make_shared<std::atomic<bool>>(false);
  auto begun = std::make_shared<std::atomic<bool>>(false);
  run(loop, [&]() -> task<> {
    auto work = [told, begun](TestType token) {
      *begun = true;
      while (!token.stop_requested()) std::this_thread::sleep_for(100us);
      *told = true;
      return 1;
    };
    const auto late = co_await with_timeout(1ms, run_blocking(work));
    CHECK(late.error() == errc::deadline_exceeded);
    if (*begun) CHECK(eventually([&] { return told->load(); }));

    beside destroyed_later(loop, [&]() -> task<> {
      const auto got = co_await run_blocking(work);
      CHECK(got.error() == errc::canceled);
    });
    co_await until([&] { return begun->load(); });
    destroyed_later.request_stop();
    co_await destroyed_later.join();
  });
}

TEST_CASE("run_blocking: the function may keep a callback of its token") {
  event_loop loop;
  struct keeps_callback {
    struct nothing {
      void operator()() const noexcept {}
    };
    std::shared_ptr<std::optional<stop_callback<nothing>>> callback =
        std::make_shared<std::optional<stop_callback<nothing>>>();
    int operator()(const stop_token& token) {
      callback->emplace(token, nothing());
      return 1;
    }
  };
  run(loop, [&]() -> task<> {
    const auto got = co_await run_blocking(keeps_callback());
    CHECK(got == 1);
  });
}

TEST_CASE("run_blocking: a call that no thread has begun is not made for a waiter that has left", "[threads]") {
  event_loop loop;
  auto open = std::make_shared<std::latch>(1);
  auto calls = std::make_shared<std::atomic<int>>(0);
  run(loop, [&]() -> task<> {
    scope all;
    auto hold = [open] { open->wait(); };
    const auto holder = [&]() -> task<> { (void)co_await run_blocking(hold); };
    for (int i = 0; i < 16; ++i) all.spawn(holder());  // occupies every thread
    co_await yield();
    auto count = [calls] { ++*calls; };
    const auto late = co_await with_timeout(1ms, run_blocking(count));
    CHECK(late.error() == errc::deadline_exceeded);
    open->count_down();
    co_await all.join();
    const auto after = co_await run_blocking(count);
    CHECK(after.has_value());
  });
  CHECK(*calls == 1);
}

TEST_CASE("run_blocking: a stop that races with the end has one outcome", "[threads]") {
  event_loop loop;
  int values = 0;
  int canceled = 0;
  const auto released = std::make_shared<std::atomic<int>>(-1);  // calls outlive the test
  run(loop, [&]() -> task<> {
    for (int i = 0; i < 1'000; ++i) {
      beside waiting(loop, [&]() -> task<> {
        const auto work = [released, i] {
          for (std::atomic<int> spin = 0; spin < i % 100 * 20; ++spin) {
          }
          while (i % 100 == 99 && *released < i) std::this_thread::yield();  // this one surely ends after the stop
          return 1;
        };
        const auto got = co_await run_blocking(work);
        if (got) {
          ++values;
        } else {
          CHECK(got.error() == errc::canceled);
          ++canceled;
        }
      });
      for (int turns = i % 4; turns > 0; --turns) co_await yield();
      std::thread stopper;
      if (i % 2 == 0) {
        stopper = std::thread([&] { waiting.request_stop(); });
      } else {
        waiting.request_stop();
      }
      *released = i;
      co_await waiting.join();
      if (stopper.joinable()) stopper.join();
    }
  });
  CHECK(values + canceled == 1'000);
  CHECK(canceled >= 10);
}

TEST_CASE("run_blocking: frame and loop may be destroyed while the function runs", "[threads]") {
  auto open = std::make_shared<std::latch>(1);
  auto ended = std::make_shared<std::atomic<int>>(0);
  auto loop = std::make_unique<event_loop>();
  std::unique_ptr<beside> survivor;
  auto work = [open, ended] {
    open->wait();
    ++*ended;
  };
  run(*loop, [&]() -> task<> {
    const auto waits = [&]() -> task<> { (void)co_await run_blocking(work); };
    auto destroyed = std::make_unique<beside>(*loop, waits);
    survivor = std::make_unique<beside>(*loop, waits);
    co_await sleep_for(2ms);
    destroyed.reset();
  });
  loop.reset();
  open->count_down();
  CHECK_FALSE(survivor->ended());
  survivor.reset();
  CHECK(eventually([&] { return open.use_count() == 2; }));  // the copy here and that of `work`
}

TEST_CASE("run_blocking: outside of a loop and after a stop it is an error, and the function is not called") {
  bool called = false;
  auto work = [&] { called = true; };
  auto caller = [&]() -> task<result<void>> { co_return co_await run_blocking(work); };
  auto alone = caller();
  alone.handle().resume();
  REQUIRE(alone.done());
  CHECK(alone.handle().promise().take().error() == errc::wrong_thread);
  event_loop loop;
  loop.request_stop();
  CHECK(loop.run(caller()).error() == errc::canceled);
  CHECK_FALSE(called);
}

// Without the tag [threads]: ThreadSanitizer starts no thread in the child of a program that has several threads.
TEST_CASE("run_blocking: the child of a fork has threads of its own") {
  event_loop loop;
  const auto ask = []() -> task<int> {
    const auto got = co_await run_blocking([] { return 5; });
    co_return got.value_or(-1);
  };
  REQUIRE(loop.run(ask()) == 5);
  const std::string answer = in_child([&] {
    event_loop own;
    return std::to_string(own.run(ask()));
  });
  CHECK(answer == "5");
}

}  // namespace
