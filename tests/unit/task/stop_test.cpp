#include "uring6/stop.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <stop_token>

#include "uring6/event_loop.hpp"
#include "uring6/scope.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_all.hpp"

using namespace std::chrono_literals;

namespace uring6 {
namespace {

task<std::stop_token> own_token() {
  std::stop_token token = co_await this_task::stop_token();
  co_return token;
}

}  // namespace

TEST_CASE("stop_token: a task and its awaited tasks have the loop's token") {
  event_loop loop;
  auto body = [&]() -> task<> {
    const std::stop_token mine = co_await this_task::stop_token();
    const std::stop_token inherited = co_await own_token();
    CHECK(mine == inherited);
    CHECK_FALSE(mine.stop_requested());
    loop.request_stop();
    CHECK(mine.stop_requested());
  };
  loop.run(body());
}

TEST_CASE("stop_token: children of a scope have the scope's token") {
  event_loop loop;
  auto note = [](std::stop_token& into) -> task<> { into = co_await this_task::stop_token(); };
  auto body = [&]() -> task<> {
    std::stop_token of_child;
    scope children;
    children.spawn(note(of_child));
    co_await children.join();
    CHECK_FALSE(of_child.stop_requested());
    children.request_stop();
    CHECK(of_child.stop_requested());
    const std::stop_token mine = co_await this_task::stop_token();
    CHECK_FALSE(mine.stop_requested());
  };
  loop.run(body());
}

TEST_CASE("stop_token: the token outlives the task") {
  event_loop loop;
  auto body = []() -> task<std::stop_token> {
    auto all = co_await when_all(own_token());
    co_return std::get<0>(all);
  };
  const std::stop_token token = loop.run(body());
  CHECK_FALSE(token.stop_requested());
}

}  // namespace uring6
