// How a stop request finds those who wait, and only them.
#include "uring6/detail/stop_root.hpp"

#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "support/coroutines.hpp"

namespace uring6 {
namespace {

struct listener final : detail::stop_listener {
  void stop_requested() noexcept override {
    ++told;
    if (when_told) when_told();
  }

  int told = 0;
  std::function<void()> when_told;
};

TEST_CASE("stop_root: who waits is told once, in the order of coming; who has forgotten or gone is not") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    std::stop_source source;
    detail::stop_root root(source.get_token());
    std::vector<int> order;
    listener first;
    listener forgetful;
    listener second;
    std::optional<listener> gone(std::in_place);
    first.when_told = [&] { order.push_back(1); };
    second.when_told = [&] { order.push_back(2); };
    for (listener* each : {&first, &forgetful, &second, &*gone}) each->listen(*loop.core(), root);
    forgetful.forget();
    gone.reset();

    source.request_stop();
    CHECK(order == std::vector{1, 2});
    CHECK(forgetful.told == 0);
    co_await test::yield();
    CHECK(first.told + second.told == 2);
  });
}

TEST_CASE("stop_root: one that goes because another is told is not told") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    std::stop_source source;
    detail::stop_root root(source.get_token());
    listener first;
    std::optional<listener> second(std::in_place);
    listener third;
    bool second_told = false;
    first.when_told = [&] { second.reset(); };
    second->when_told = [&] { second_told = true; };
    for (listener* each : {&first, &*second, &third}) each->listen(*loop.core(), root);
    source.request_stop();
    CHECK_FALSE(second_told);
    CHECK(first.told == 1);
    CHECK(third.told == 1);
    co_return;
  });
}

TEST_CASE("stop_root: of another thread's request, who waits hears in the loop, and who comes before that, at once",
          "[threads]") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    std::stop_source source;
    detail::stop_root root(source.get_token());
    listener waits;
    waits.listen(*loop.core(), root);
    std::thread([&] { source.request_stop(); }).join();
    CHECK(waits.told == 0);

    listener comes;
    comes.listen(*loop.core(), root);
    CHECK(comes.told == 1);
    co_await test::until([&] { return waits.told > 0; });
    CHECK(waits.told == 1);
    CHECK(comes.told == 1);
  });
}

TEST_CASE("stop_root: who waits may outlive it, and it the loop") {
  std::optional<event_loop> loop(std::in_place);
  std::stop_source source;
  std::optional<detail::stop_root> root(std::in_place, source.get_token());
  listener waits;
  listener leaves;
  test::run(*loop, [&]() -> task<> {
    for (listener* each : {&waits, &leaves}) each->listen(*loop->core(), *root);
    co_return;
  });
  loop.reset();
  source.request_stop();
  leaves.forget();
  root.reset();
  CHECK(waits.told == 0);
}

TEST_CASE("stop_root: one that nobody can stop keeps nobody") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    listener waits;
    waits.listen(*loop.core(), detail::never_stopped);
    CHECK(waits.told == 0);
    std::stop_source source;
    detail::stop_root root(source.get_token());
    waits.listen(*loop.core(), root);  // it is in no list yet
    source.request_stop();
    CHECK(waits.told == 1);
    co_return;
  });
}

}  // namespace
}  // namespace uring6
