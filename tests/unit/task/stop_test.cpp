#include "uring6/stop.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>

#include "uring6/event_loop.hpp"
#include "uring6/scope.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_all.hpp"

using namespace std::chrono_literals;

namespace uring6 {
namespace {

task<stop_token> own_token() {
  stop_token token = co_await this_task::stop_token();
  co_return token;
}

}  // namespace

TEST_CASE("stop_token: a task and its awaited tasks have the loop's token") {
  event_loop loop;
  auto body = [&]() -> task<> {
    const stop_token mine = co_await this_task::stop_token();
    const stop_token inherited = co_await own_token();
    CHECK(mine == inherited);
    CHECK_FALSE(mine.stop_requested());
    loop.request_stop();
    CHECK(mine.stop_requested());
  };
  loop.run(body());
}

TEST_CASE("stop_token: children of a scope have the scope's token") {
  event_loop loop;
  auto note = [](stop_token& into) -> task<> { into = co_await this_task::stop_token(); };
  auto body = [&]() -> task<> {
    stop_token of_child;
    scope children;
    children.spawn(note(of_child));
    co_await children.join();
    CHECK_FALSE(of_child.stop_requested());
    children.request_stop();
    CHECK(of_child.stop_requested());
    const stop_token mine = co_await this_task::stop_token();
    CHECK_FALSE(mine.stop_requested());
  };
  loop.run(body());
}

TEST_CASE("stop_token: a combinator whose child asked for its token ends without a stop") {
  event_loop loop;
  auto body = [&]() -> task<bool> {
    auto all = co_await when_all(own_token(), sleep_for(1us));
    co_return std::get<1>(all).has_value();
  };
  CHECK(loop.run(body()));
}

TEST_CASE("stop_token: a child of a combinator has a token of its own, which follows the task's") {
  event_loop loop;
  auto child = [&](const stop_token& above) -> task<bool> {
    const stop_token mine = co_await this_task::stop_token();
    CHECK(mine != above);
    CHECK_FALSE(mine.stop_requested());
    loop.request_stop();
    co_return mine.stop_requested();
  };
  auto body = [&]() -> task<bool> {
    const stop_token mine = co_await this_task::stop_token();
    auto all = co_await when_all(child(mine));
    co_return std::get<0>(all);
  };
  CHECK(loop.run(body()));
}

}  // namespace uring6
