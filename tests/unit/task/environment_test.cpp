// The protocol of awaiting, with a coroutine type of another kind that takes part in it.
#include "uring6/environment.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "support/case/coroutines.hpp"
#include "support/case/lazy_coroutine.hpp"
#include "uring6/channel.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/foreign.hpp"
#include "uring6/resume_on.hpp"
#include "uring6/scope.hpp"
#include "uring6/select.hpp"
#include "uring6/stop.hpp"
#include "uring6/this_task.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_all.hpp"
#include "uring6/when_any.hpp"
#include "uring6/with_stop.hpp"
#include "uring6/with_timeout.hpp"

using namespace std::chrono_literals;

namespace kin {

/// A coroutine type that takes part in the protocol, and one that does not.
template <class T>
using lazy = uring6::test::lazy_coroutine<T, uring6::test::takes_part>;
template <class T>
using plain_lazy = uring6::test::lazy_coroutine<T, uring6::test::awaits_anything>;

/// Goes on on a thread that it starts, as a library with threads of its own does: it breaks the protocol, which
/// resume_on mends.
struct new_thread {
  std::thread& into;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting, const uring6::environment&) const {
    std::thread& started = into;  // the other thread may end this awaiter before the assignment
    started = std::thread([waiting] { waiting.resume(); });
  }
  void await_resume() const noexcept {}
};

}  // namespace kin

namespace uring6 {
namespace {

task<std::error_code> sleeps() {
  const auto slept = co_await sleep_for(test::patience);
  co_return slept ? std::error_code() : slept.error();
}

kin::lazy<std::error_code> outer() {
  const std::error_code inner = co_await sleeps();
  const stop_token token = co_await this_task::stop_token();
  CHECK(token.stop_requested() == (inner == errc::canceled));
  co_return inner;
}

TEST_CASE("a stop reaches through a coroutine type that takes part") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    std::error_code inner;
    const auto note = [&]() -> kin::lazy<result<void>> {
      inner = co_await outer();
      co_return fail(inner);
    };
    const auto ended = co_await with_timeout(1ms, note());
    CHECK(ended == fail(errc::deadline_exceeded));
    CHECK(inner == errc::canceled);

    stop_source source;
    test::beside stopper(loop, [&]() -> task<> {
      source.request_stop();
      co_return;
    });
    inner = co_await with_stop(source.get_token(), outer());
    CHECK(inner == errc::canceled);
    co_await stopper.join();
  });
}

TEST_CASE("a coroutine type that takes part awaits operations, combinators, tasks and scopes of the loop") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    channel<int> numbers(1);
    const auto all = [&]() -> kin::lazy<int> {
      (void)co_await sleep_for(1us);
      const auto first = co_await when_any(numbers.receive(), sleep_for(1us));
      const auto both = co_await when_all(sleep_for(1us), numbers.send(3));
      const auto got = co_await numbers.receive();
      scope children;
      children.spawn([]() -> task<> { co_await this_task::yield(); }());
      co_await children.join();
      event_loop& mine = co_await this_task::loop();
      CHECK(&mine == &loop);
      co_return static_cast<int>(first.index) + *got + (std::get<1>(both) ? 1 : 0);
    };
    const int sum = co_await all();
    CHECK(sum == 5);
    const auto throws = []() -> kin::lazy<int> {
      throw std::runtime_error("of another library");
      co_return 1;
    };
    bool thrown = false;
    try {
      (void)co_await throws();
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    CHECK(thrown);
  });
}

TEST_CASE("a coroutine of its own, with an empty environment, awaits the loop's operations and is not stopped") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    const auto alone = []() -> kin::lazy<bool> {
      const stop_token token = co_await this_task::stop_token();
      const auto slept = co_await sleep_for(1us);
      co_return slept.has_value() && !token.stop_possible();
    };
    auto work = alone();
    work.start();
    while (!work.done()) co_await this_task::yield();
    CHECK(work.value());
  });
}

TEST_CASE("resume_on: a coroutine on another thread comes to the loop, also while the loop sleeps", "[threads]") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    for (int i = 0; i < 100; ++i) {
      std::thread other;
      const auto hops = [&]() -> kin::lazy<bool> {
        const auto home = std::this_thread::get_id();
        event_loop& mine = co_await this_task::loop();
        co_await kin::new_thread{other};
        const bool away = std::this_thread::get_id() != home;
        const auto back = co_await resume_on(mine);
        const auto slept = co_await sleep_for(1us);
        co_return away&& back&& slept&& std::this_thread::get_id() == home;
      };
      const bool right = co_await hops();
      other.join();
      REQUIRE(right);
    }
  });
}

TEST_CASE("resume_on: a task of the loop yields, and a task of another loop is refused") {
  event_loop loop;
  event_loop other;
  test::run(loop, [&]() -> task<> {
    const std::uint64_t turns = loop.stats().turns;
    const auto here = co_await resume_on(loop);
    CHECK(here);
    CHECK(loop.stats().turns > turns);
    const auto there = co_await resume_on(other);
    CHECK(there == fail(errc::wrong_thread));
  });
}

TEST_CASE("resume_on: a loop that has ended, ends, or was moved from resumes the coroutine with an error") {
  std::optional<event_loop> loop(std::in_place);
  const auto go = [](event_loop& to, std::error_code& into) -> kin::lazy<int> {
    const auto gone = co_await resume_on(to);
    into = gone ? std::error_code() : gone.error();
    co_return 1;
  };
  std::error_code ends;
  auto first = go(*loop, ends);
  first.start();
  CHECK_FALSE(first.done());
  SECTION("ends") {
    loop.reset();
  }
  SECTION("moved from") {
    const event_loop elsewhere(std::move(*loop));
    std::error_code moved;
    auto second = go(*loop, moved);
    second.start();
    CHECK(second.done());
    CHECK(moved == errc::closed);
    loop.reset();
  }
  REQUIRE(first.done());
  CHECK(ends == errc::closed);
}

TEST_CASE("resume_on: a loop that ends before the turn resumes the coroutine with an error, and takes no other in") {
  std::optional<event_loop> loop(std::in_place);
  std::error_code first;
  std::error_code second;
  bool yielded = false;
  const auto go = [&]() -> kin::lazy<int> {
    const auto arrived = co_await resume_on(*loop);
    first = arrived ? std::error_code() : arrived.error();
    const auto again = co_await resume_on(*loop);
    second = again ? std::error_code() : again.error();
    co_await this_task::yield();
    yielded = true;
    co_return 1;
  };
  auto waits = go();
  const auto start = [&]() -> task<> {
    waits.start();  // its turn would be the next one
    co_return;
  };
  loop->run(start());
  loop.reset();
  CHECK(waits.done());
  CHECK(first == errc::closed);
  CHECK(second == errc::closed);
  CHECK(yielded);
}

/// Comes back by a function that another thread posts to the loop.
struct answer_of_another_thread {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting, const environment& in) {
    work = std::thread([waiting, home = in.loop()] { home->post([waiting] { waiting.resume(); }); });
  }
  void await_resume() { work.join(); }
  std::thread work{};
};

TEST_CASE("an awaiter that takes part comes back by a post, also as the last thing that its run waits for",
          "[threads]") {
  event_loop loop;
  test::run(loop, [&]() -> task<> { co_await answer_of_another_thread(); });
  int rounds = 0;
  test::run(loop, [&]() -> task<> {
    for (; rounds < 100; ++rounds) co_await answer_of_another_thread();
  });
  CHECK(rounds == 100);
}

TEST_CASE("with_environment owns what it awaits: it can be returned and awaited later") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    const auto soon = [](const environment& in) { return with_environment(sleep_for(1us), in); };
    const auto both = [](const environment& in) {
      return with_environment(when_all(sleep_for(1us), sleep_for(1us)), in);
    };
    const auto alone = [&]() -> kin::plain_lazy<int> {
      const auto slept = co_await soon(environment());
      const auto all = co_await both(environment());
      co_return (slept ? 1 : 0) + (std::get<1>(all) ? 1 : 0);
    };
    auto work = alone();
    work.start();
    while (!work.done()) co_await this_task::yield();
    CHECK(work.value() == 2);
  });
}

TEST_CASE("resume_on: a coroutine that is destroyed while it waits is not resumed") {
  event_loop loop;
  bool resumed = false;
  const auto go = [&]() -> kin::lazy<int> {
    (void)co_await resume_on(loop);
    resumed = true;
    co_return 1;
  };
  {
    auto waits = go();
    waits.start();
  }
  test::run(loop, [&]() -> task<> {
    auto also = go();
    also.start();
    co_return;
  });
  test::run(loop, [&]() -> task<> { co_await this_task::yield(); });
  CHECK_FALSE(resumed);
}

TEST_CASE("this_task::loop gives the program's object, also after it was moved, and none outside of a run") {
  event_loop first;
  event_loop loop(std::move(first));
  test::run(loop, [&]() -> task<> {
    event_loop& mine = co_await this_task::loop();
    CHECK(&mine == &loop);
    int posts = 0;
    mine.post([&] { ++posts; });
    co_await test::until([&] { return posts == 1; });
  });
  first = std::move(loop);
  test::run(first, [&]() -> task<> {
    event_loop& mine = co_await this_task::loop();
    CHECK(&mine == &first);
  });
  CHECK(environment().loop() == nullptr);
  const auto alone = []() -> kin::lazy<int> {
    (void)co_await this_task::loop();
    co_return 1;
  };
  const auto outside = [&]() -> kin::lazy<bool> {
    try {
      (void)co_await alone();
    } catch (const std::system_error& thrown) {
      co_return thrown.code() == errc::wrong_thread;
    }
    co_return false;
  };
  auto work = outside();
  work.start();
  REQUIRE(work.done());
  CHECK(work.value());
}

/// Awaitables that a task refuses: without the protocol, or by name although they are awaited once.
struct plain {
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  void await_resume() const noexcept {}
};
static_assert(detail::awaitable<plain> && !detail::takes_environment<plain>);
static_assert(detail::takes_environment<kin::lazy<int>> && detail::takes_environment<task<int>>);
static_assert(detail::takes_environment<decltype(foreign(plain()))>);
static_assert(detail::named_value<task<int>&> && !detail::named_value<task<int>>);
static_assert(detail::takes_environment<decltype(sleep_for(1s))&>);

}  // namespace
}  // namespace uring6
