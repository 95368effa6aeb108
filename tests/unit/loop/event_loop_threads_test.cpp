// A loop and other threads: they may post to it and wake it, but not run it.

#include "uring6/event_loop.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <chrono>
#include <thread>
#include <vector>

#include "runtime/loop/loop_core.hpp"
#include "support/case/coroutines.hpp"
#include "uring6/event.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

task<int> answer() {
  co_return 42;
}

TEST_CASE("posts run on the loop's thread, in order, and wake it", "[threads]") {
  constexpr int count = 20'000;
  event_loop loop;
  std::vector<int> seen;
  std::thread::id where;
  std::thread poster;
  run(loop, [&]() -> task<> {
    poster = std::thread([&] {
      for (int i = 0; i < count; ++i) {
        loop.post([&, i] {
          seen.push_back(i);
          where = std::this_thread::get_id();
        });
        if (i % 1000 == 0) std::this_thread::sleep_for(100us);  // lets the loop sleep now and then
      }
    });
    while (seen.size() < count) co_await sleep_for(1ms);
  });
  poster.join();
  CHECK(where == std::this_thread::get_id());
  for (int i = 0; i < count; ++i) REQUIRE(seen[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("posts of many threads all arrive, each thread's in order", "[threads]") {
  constexpr int threads = 4;
  constexpr int each = 5'000;
  event_loop loop;
  std::vector<int> next(threads, 0);
  int total = 0;
  bool in_order = true;
  std::vector<std::thread> posters;
  run(loop, [&]() -> task<> {
    for (int t = 0; t < threads; ++t) {
      posters.emplace_back([&, t] {
        for (int i = 0; i < each; ++i) {
          loop.post([&, t, i] {
            in_order &= next[static_cast<std::size_t>(t)]++ == i;
            ++total;
          });
        }
      });
    }
    while (total < threads * each) co_await sleep_for(1ms);
  });
  for (auto& each_thread : posters) each_thread.join();
  CHECK(in_order);
}

TEST_CASE("a call of another thread that comes during a call makes one more call", "[threads]") {
  struct target final : detail::remote_target {
    void called() noexcept override {
      if (++calls > 1) return again.set();
      std::thread other([this] { call(); });
      other.join();
    }
    using remote_target::call;
    using remote_target::close;
    using remote_target::open;
    int calls = 0;
    event again;
  };
  event_loop loop;
  target called_twice;
  called_twice.open(*loop.core());
  std::thread first([&] { called_twice.call(); });
  first.join();
  run(loop, [&]() -> task<> {
    const auto came = co_await called_twice.again.wait();
    CHECK(came);
  });
  CHECK(called_twice.calls == 2);
  called_twice.close();
}

TEST_CASE("a call of another thread that is queued when its target closes reaches no target", "[threads]") {
  struct target final : detail::remote_target {
    void called() noexcept override { ++calls; }
    using remote_target::call;
    using remote_target::close;
    using remote_target::open;
    int calls = 0;
  };
  event_loop loop;
  const auto turns = []() -> task<> {
    for (int i = 0; i < 3; ++i) co_await yield();
  };
  target left;
  target later;
  left.open(*loop.core());
  std::thread([&] { left.call(); }).join();
  left.close();
  later.open(*loop.core());
  run(loop, turns);
  CHECK(left.calls == 0);
  CHECK(later.calls == 0);

  // The later one is called for itself, and so is one that has the place of the one that left.
  left.open(*loop.core());
  std::thread([&] {
    later.call();
    left.call();
  }).join();
  run(loop, turns);
  CHECK(left.calls == 1);
  CHECK(later.calls == 1);
  left.close();
  later.close();
}

TEST_CASE("a sleeping loop is woken by a post each time", "[threads]") {
  // A lost wake-up would hang here: no other event wakes the loop.
  event_loop loop;
  std::thread poster;
  run(loop, [&]() -> task<> {
    detail::ready_node waiting;
    struct wait_for_post {
      detail::ready_node& node;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> me, const environment&) { node.handle = me; }
      void await_resume() const noexcept {}
    };
    for (int i = 0; i < 3'000; ++i) {
      if (poster.joinable()) poster.join();
      poster = std::thread([&] { loop.post([&] { loop.core()->make_ready(waiting); }); });
      co_await wait_for_post{waiting};
    }
  });
  poster.join();
}

TEST_CASE("loops that wake each other lose no post, whatever the size of their queues", "[threads]") {
  constexpr int rounds = 2000;
  struct player {
    explicit player(const loop_options& options) : loop(options) {}
    event_loop loop;
    event over;
    int hits = 0;
  };
  for (const unsigned entries : {4096U, 2U}) {
    const loop_options options{.submission_entries = 2, .completion_entries = entries};
    player one(options);
    player two(options);
    // Each post comes from the other loop, which then sleeps.
    struct game {
      static void hit(player& here, player& there) {
        if (++here.hits > rounds) {
          here.over.set();
          if (there.hits > rounds) return;
        }
        there.loop.post([&] { hit(there, here); });
      }
    };
    const auto play = [](player& here) {
      const auto wait = [&]() -> task<> { (void)co_await here.over.wait(); };
      here.loop.run(wait());
    };
    one.loop.post([&] { game::hit(one, two); });
    std::thread other([&] { play(two); });
    play(one);
    other.join();
    CHECK(one.hits == rounds + 1);
    CHECK(two.hits >= rounds);
    const auto sent = one.loop.stats().ring_messages + two.loop.stats().ring_messages;
    const bool can = one.loop.core()->ring().features().messages;
    CHECK((sent > 0) == can);
    CHECK(sent <= 2 * rounds + 2);
  }
}

TEST_CASE("a loop is woken at once by a loop that goes on computing", "[threads]") {
  event_loop here;
  event_loop there;
  event called;
  std::atomic<bool> answered{false};
  std::thread other([&] {
    const auto wait = [&]() -> task<> {
      (void)co_await called.wait();
      answered = true;
    };
    there.run(wait());
  });
  const auto compute = [&]() -> task<> {
    co_await yield();
    there.post([&] { called.set(); });
    while (!answered) std::this_thread::yield();
  };
  here.run(compute());
  other.join();
  CHECK(answered);
}

TEST_CASE("the statistics count the posts that ran, and the turns and enters for them", "[threads]") {
  event_loop loop;
  CHECK(loop.stats().posts == 0);
  event last;
  std::thread other([&] {
    for (int i = 0; i < 100; ++i) loop.post([] {});
    loop.post([&] { last.set(); });
  });
  const auto wait = [&]() -> task<> { (void)co_await last.wait(); };
  loop.run(wait());
  other.join();
  CHECK(loop.stats().posts == 101);
  CHECK(loop.stats().turns > 0);
  CHECK(loop.stats().resumptions >= 1);
}

TEST_CASE("the counters of a loop are read by its thread, and by any thread after that has ended", "[threads]") {
  event_loop loop;
  event begun;
  event looked;
  std::uint64_t seen = 0;  // read on the loop's thread
  const auto wait = [&]() -> task<> {
    begun.set();
    (void)co_await looked.wait();
    seen = loop.stats().turns;
  };
  std::thread its([&] { loop.run(wait()); });
  while (!begun.is_set()) std::this_thread::yield();
  CHECK(loop.stats().turns == 0);
  looked.set();
  its.join();
  CHECK(seen > 0);
  CHECK(loop.stats().turns >= seen);
}

TEST_CASE("a post to a loop that is destroyed before it runs is destroyed", "[threads]") {
  auto watched = std::make_shared<int>(1);
  {
    event_loop loop;
    loop.post([watched] { FAIL("ran"); });
    CHECK(watched.use_count() == 2);
  }
  CHECK(watched.use_count() == 1);
}

TEST_CASE("a loop runs on the thread of its first run, and on no other", "[threads]") {
  event_loop loop;
  int got = 0;
  std::thread([&] { got = loop.run(answer()); }).join();
  CHECK(got == 42);
  try {
    loop.run(answer());
    FAIL("ran on a second thread");
  } catch (const std::system_error& error) {
    CHECK(error.code() == errc::wrong_thread);
  }
}

TEST_CASE("a loop cannot be run from inside itself") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    CHECK_THROWS_AS(loop.run(answer()), std::system_error);
    co_return;
  });
}

TEST_CASE("two loops run beside each other on two threads, and nested on one", "[threads]") {
  event_loop first;
  event_loop second;
  int got = 0;
  std::thread other([&] { got = second.run(answer()); });
  CHECK(first.run(answer()) == 42);
  other.join();
  CHECK(got == 42);

  event_loop outer;
  event_loop inner;
  int nested = 0;
  run(outer, [&]() -> task<> {
    nested = inner.run(answer());
    const auto slept = co_await sleep_for(1ms);
    CHECK(slept);
  });
  CHECK(nested == 42);
}

TEST_CASE("a spinning loop sees a post without a sleep", "[threads]") {
  event_loop loop(loop_options{.spin = 2s});
  bool posted = false;
  std::thread poster;
  run(loop, [&]() -> task<> {
    poster = std::thread([&] { loop.post([&] { posted = true; }); });
    while (!posted) co_await sleep_for(1us);
  });
  poster.join();
  CHECK(posted);
}

TEST_CASE("spinning is off by default, stops while it finds nothing, and begins again when it does") {
  event_loop plain;
  run(plain, [&]() -> task<> { co_await sleep_for(2ms); });
  CHECK(plain.stats().spins + plain.stats().idle_spins == 0);

  event_loop loop(loop_options{.spin = 1ms});
  run(loop, [&]() -> task<> {
    for (int i = 0; i < 40; ++i) co_await sleep_for(5ms);  // each sleep is longer than a spin
    CHECK(loop.stats().idle_spins >= 4);
    CHECK(loop.stats().idle_spins < 20);
    // Timers within the spin: one of the next eight waits spins as a try, and all waits after that spin.
    const auto before = loop.stats();
    for (int i = 0; i < 100; ++i) co_await sleep_for(500us);
    CHECK(loop.stats().spins - before.spins > 50);
  });
}

}  // namespace
