// A loop_group runs all work that it takes in, and refuses all other work.

#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <thread>

#include "support/case/coroutines.hpp"
#include "support/case/eventually.hpp"
#include "uring6/loop_group.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

loop_group_options unpinned(std::size_t loops) {
  return {.loops = loops, .cpus = {}, .pin = false, .loop = {}};
}

TEST_CASE("loop group: work for a loop that has ended is refused, and its callable is destroyed", "[threads]") {
  loop_group group(unpinned(2));
  std::atomic<int> ran{0};
  const auto counts = [&]() -> task<> {
    ++ran;
    co_return;
  };
  CHECK(group.spawn_on(0, counts));
  CHECK(group.spawn_listener(1, counts));
  CHECK(group.drain(10s));
  CHECK(ran == 2);
  auto held = std::make_shared<int>();
  const auto holds = [held, &ran]() -> task<> {
    ++ran;
    co_return;
  };
  CHECK_FALSE(group.spawn_on(0, holds));
  CHECK_FALSE(group.spawn_listener(1, holds));
  CHECK(ran == 2);
  CHECK(held.use_count() == 2);  // the pointer here, and the copy in the lambda here
}

TEST_CASE("loop group: while it drains it takes work for loops with running tasks, and for no others", "[threads]") {
  loop_group group(unpinned(2));
  std::atomic<bool> begun{false};
  std::atomic<int> ran{0};
  std::array<bool, 3> taken{false, true, true};
  const auto counts = [&]() -> task<> {
    ++ran;
    co_return;
  };
  group.spawn_on(0, [&]() -> task<> {
    begun = true;
    co_await until([&] { return group.ended(1); });  // the group drains
    taken[0] = group.spawn_on(0, counts);
    taken[1] = group.spawn_on(1, counts);
    taken[2] = group.spawn_listener(0, counts);
  });
  REQUIRE(eventually([&] { return begun.load(); }));
  CHECK(group.drain(10s));
  CHECK(taken == std::array{true, false, false});
  CHECK(ran == 1);
}

TEST_CASE("loop group: all work that is taken while the group drains or stops begins", "[threads]") {
  for (int round = 0; round < 20; ++round) {
    loop_group group(unpinned(2));
    std::atomic<std::size_t> taken{0};
    std::atomic<std::size_t> ran{0};
    const auto give = [&](std::size_t index) {
      const auto counts = [&]() -> task<> {
        ++ran;
        co_return;
      };
      for (int left = 1000; left > 0; --left) {
        if (!(index == 0 ? group.spawn_on(index, counts) : group.spawn_listener(index, counts))) break;
        ++taken;
      }
    };
    std::jthread one(give, 0);
    std::jthread two(give, 1);
    CHECK(eventually([&] { return ran > 10; }));
    if (round % 2 == 0) group.request_stop();
    (void)group.drain(10s);
    one.join();
    two.join();
    CHECK(ran == taken);
  }
}

}  // namespace
