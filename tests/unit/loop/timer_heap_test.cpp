#include "runtime/loop/timer_heap.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <random>
#include <vector>

#include "runtime/loop/loop_core.hpp"

namespace {

using namespace uring6;
using detail::clock;
using std::chrono::nanoseconds;

clock::time_point at(int moment) {
  return clock::time_point(nanoseconds(moment));
}

struct noting_timer final : detail::timer_node {
  noting_timer(std::vector<int>& log_, int moment_) : log(log_), moment(moment_) {}
  void expired() noexcept override {
    log.push_back(moment);
    if (again) arm(*again, at(moment));
  }

  std::vector<int>& log;
  int moment;
  detail::loop_core* again = nullptr;
};

struct heap_of_a_loop {
  event_loop loop;
  detail::loop_core& core = *loop.core();
  detail::timer_heap& heap = core.timers();
};

TEST_CASE("timers expire in the order of their deadlines, whichever are canceled between") {
  heap_of_a_loop of;
  std::mt19937 random(2026);
  for (int round = 0; round < 50; ++round) {
    std::vector<int> log;
    std::vector<std::unique_ptr<noting_timer>> timers;
    std::vector<int> expected;
    for (int i = 0; i < 300; ++i) {
      timers.push_back(std::make_unique<noting_timer>(log, static_cast<int>(random() % 100)));
      timers.back()->arm(of.core, at(timers.back()->moment));
    }
    for (auto& each : timers) {
      switch (random() % 4) {
        case 0:
          each->disarm();
          break;
        case 1:
          each.reset();
          break;
        case 2:  // set anew: the old deadline no longer counts
          each->moment = static_cast<int>(random() % 100);
          each->arm(of.core, at(each->moment));
          break;
        default:
          break;
      }
      if (each && each->armed()) expected.push_back(each->moment);
    }
    std::ranges::sort(expected);
    REQUIRE(of.heap.size() == expected.size());
    unsigned fired = 0;
    for (int now = -1; now < 100; now += 10) {
      fired += of.heap.expire(at(now));
      for (const int moment : log) REQUIRE(moment <= now);
    }
    fired += of.heap.expire(at(100));
    REQUIRE(fired == expected.size());
    REQUIRE(log == expected);
    REQUIRE(of.heap.empty());
  }
}

TEST_CASE("timers with equal deadlines expire in the order in which they were set, whichever are canceled between") {
  heap_of_a_loop of;
  std::mt19937 random(2026);
  for (int round = 0; round < 50; ++round) {
    std::vector<int> log;
    std::vector<std::unique_ptr<noting_timer>> timers;
    std::vector<int> expected;
    for (int i = 0; i < 100; ++i) {
      timers.push_back(std::make_unique<noting_timer>(log, i));
      timers.back()->arm(of.core, at(5));
    }
    for (auto& each : timers) {
      if (random() % 3 == 0) each->disarm();
      if (each->armed()) expected.push_back(each->moment);
    }
    REQUIRE(of.heap.expire(at(5)) == expected.size());
    REQUIRE(log == expected);
  }
}

TEST_CASE("the next deadline is the earliest of the remaining ones") {
  heap_of_a_loop of;
  std::vector<int> log;
  noting_timer early(log, 1);
  noting_timer late(log, 2);
  late.arm(of.core, at(2));
  early.arm(of.core, at(1));
  CHECK(of.heap.next() == at(1));
  early.disarm();
  CHECK(of.heap.next() == at(2));
  CHECK_FALSE(early.armed());
  early.disarm();
  CHECK(of.heap.size() == 1);
}

TEST_CASE("a timer that sets itself anew in the past does not keep the loop busy for ever") {
  heap_of_a_loop of;
  std::vector<int> log;
  noting_timer restless(log, 1);
  restless.again = &of.core;
  restless.arm(of.core, at(1));
  CHECK(of.heap.expire(at(5)) == 1);
  CHECK(of.heap.expire(at(5)) == 1);
  CHECK(log.size() == 2);
  restless.again = nullptr;
}

TEST_CASE("timers may outlive their loop") {
  std::vector<int> log;
  noting_timer survivor(log, 1);
  {
    heap_of_a_loop of;
    survivor.arm(of.core, clock::time_point::max());
  }
  CHECK_FALSE(survivor.armed());
}

}  // namespace
