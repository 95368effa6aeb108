// The common ground of when_all, when_any and with_timeout: their allocations, the reach of a stop, and values and
// operations that throw while they are moved.
#include "uring6/detail/siblings.hpp"

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <coroutine>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "support/case/allocations.hpp"
#include "support/case/coroutines.hpp"
#include "uring6/scope.hpp"
#include "uring6/stop.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_all.hpp"
#include "uring6/when_any.hpp"
#include "uring6/with_timeout.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

TEST_CASE("when_all, when_any and with_timeout allocate nothing once their frames are allocated") {
  event_loop loop;
  run(loop, []() -> task<> {
    const auto round = []() -> task<> {
      const auto all = co_await when_all(sleep_for(0s), sleep_for(0s));
      CHECK(std::get<0>(all));
      const auto any = co_await when_any(sleep_for(1h), sleep_for(0s));
      CHECK(any.index == 1);
      const auto late = co_await with_timeout(0s, sleep_for(1h));
      CHECK(late.error() == errc::deadline_exceeded);
      const auto nested = co_await with_timeout(1h, when_any(sleep_for(1h), sleep_for(0s)));
      CHECK(nested.index == 1);
    };
    for (int i = 0; i < 5; ++i) co_await round();
    const allocation_count before;
    for (int i = 0; i < 50; ++i) co_await round();
    CHECK(before.since() == 0);
  });
}

/// Whether the stop token of a grandchild reports a stop while the loop does nothing else.
task<bool> hears_while_it_computes(stop_source& source) {
  const auto compute = [](stop_source& from) -> task<bool> {
    const auto token = co_await this_task::stop_token();
    std::thread([&from] { from.request_stop(); }).join();
    co_return token.stop_requested();
  };
  const auto [heard, slept] = co_await when_all(with_timeout(1h, compute(source)), sleep_for(1h));
  co_return heard&& slept.error() == errc::canceled;
}

TEST_CASE("a child's stop token reports another thread's stop at once", "[threads]") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    bool heard = false;
    scope tasks;
    stop_source source;
    scope inner(source.get_token());
    inner.spawn([](stop_source& from, bool& told) -> task<> { told = co_await hears_while_it_computes(from); }(
                                                           source, heard));
    co_await inner.join();
    CHECK(heard);
  });
}

TEST_CASE("a token that is requested after the stop, or in a race that is over, is stopped") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    bool late = false;
    const auto loser = [](bool& requested) -> task<int> {
      const auto slept = co_await sleep_for(1h);
      const stop_token mine = co_await this_task::stop_token();
      requested = mine.stop_requested();
      co_return slept ? 1 : 0;
    };
    const auto first = co_await when_any(sleep_for(0s), loser(late));
    CHECK(first.index == 0);
    CHECK(late);
  });
}

struct moved_too_often : std::exception {};

/// Throws at the `moves_left`th move.
struct fragile {
  explicit fragile(int& moves_left) : left(&moves_left) {}
  fragile(fragile&& other) : left(other.left) {
    if (--*left == 0) throw moved_too_often();
  }
  int* left;
};

task<fragile> give(int& moves_left) {
  co_await yield();
  fragile value(moves_left);
  co_return std::move(value);
}

/// An operation that is moved into what awaits it.
struct fragile_operation : fragile {
  using fragile::fragile;
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>, const environment&) const noexcept {}
  int await_resume() const noexcept { return 1; }
};

/// The same as the value of a result.
task<result<fragile>> give_result(int& left) {
  result<fragile> made(std::in_place, left);
  co_return std::move(made);
}

/// Runs `work(moves_left)` with each of its moves throwing in turn; the exception must come out every time.
template <class Work>
task<> sweep_moves(Work work) {
  int thrown = 0;
  for (int nth = 1;; ++nth) {
    int left = nth;
    bool threw = false;
    try {
      co_await work(left);
    } catch (const moved_too_often&) {
      threw = true;
    }
    if (!threw) {
      CHECK(left > 0);
      break;
    }
    ++thrown;
  }
  CHECK(thrown > 0);
}

TEST_CASE("an exception of a value's or an operation's move comes out") {
  event_loop loop;
  run(loop, []() -> task<> {
    co_await sweep_moves([](int& left) -> task<> { (void)co_await when_all(give(left), sleep_for(0s)); });
    co_await sweep_moves([](int& left) -> task<> { (void)co_await when_any(give(left), sleep_for(1h)); });
    co_await sweep_moves([](int& left) -> task<> { (void)co_await with_timeout(1h, give(left)); });
    co_await sweep_moves([](int& left) -> task<> { (void)co_await when_all(give_result(left), sleep_for(0s)); });
    co_await sweep_moves([](int& left) -> task<> { (void)co_await with_timeout(1h, give_result(left)); });
    co_await sweep_moves([](int& left) -> task<> {
      std::vector<task<fragile>> tasks;
      for (int i = 0; i < 3; ++i) tasks.push_back(give(left));
      (void)co_await when_all(std::move(tasks));
    });
    co_await sweep_moves([](int& left) -> task<> {
      fragile_operation operation(left);
      (void)co_await when_all(std::move(operation), sleep_for(0s));
    });
    co_await sweep_moves([](int& left) -> task<> {
      fragile_operation operation(left);
      (void)co_await when_any(std::move(operation), sleep_for(1h));
    });
    co_await sweep_moves([](int& left) -> task<> {
      fragile_operation operation(left);
      (void)co_await with_timeout(1h, std::move(operation));
    });
  });
}

}  // namespace
