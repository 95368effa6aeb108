// What a task does with itself: it lets the others run.
#include "uring6/this_task.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/process/pipe.hpp"
#include "uring6/descriptor.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/scope.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

TEST_CASE("a task that yields goes on after the others that are ready") {
  event_loop loop;
  std::string order;
  run(loop, [&]() -> task<> {
    scope tasks(loop);
    const auto letters = [&](char letter) -> task<> {
      for (int i = 0; i < 3; ++i) {
        order += letter;
        co_await this_task::yield();
      }
    };
    tasks.spawn(letters('a'));
    tasks.spawn(letters('b'));
    co_await tasks.join();
  });
  CHECK(order == "ababab");
}

TEST_CASE("a task that yields again and again lets completions in") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    pipe_ends ends = make_pipe();
    std::byte octet{};
    bool read = false;
    beside reader(loop, [&]() -> task<> {
      const auto got = co_await fd::read(ends.read.get(), {&octet, 1});
      CHECK(got == 1U);
      read = true;
    });
    co_await this_task::yield();
    REQUIRE(::write(ends.write.get(), "x", 1) == 1);
    while (!read) co_await this_task::yield();
    co_await reader.join();
  });
}

TEST_CASE("a yield ends without an error after a stop request, and can be awaited once") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    bool done = false;
    beside other(loop, [&]() -> task<> {
      co_await this_task::yield();
      co_await this_task::yield();
      done = true;
    });
    other.request_stop();
    co_await other.join();
    CHECK(done);
    auto twice = this_task::yield();
    co_await twice;
    const bool refused = co_await refuses_a_second_await(twice);
    CHECK(refused);
  });
}

}  // namespace
