// A stop request reaches the waiting operations of its root, and no others.
#include "uring6/detail/stop_root.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstddef>
#include <functional>
#include <optional>
#include <thread>

#include "support/case/allocations.hpp"
#include "support/case/coroutines.hpp"

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

void wait_for(event_loop& loop, listener& who, detail::stop_root& root) {
  root.prepare(*loop.core());
  who.listen(root);
}

TEST_CASE("stop_root: a waiting listener is told once, one that has left or was destroyed is not") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    stop_source source;
    detail::stop_root root(source.get_token());
    listener first;
    listener forgetful;
    listener second;
    std::optional<listener> gone(std::in_place);
    for (listener* each : {&first, &forgetful, &second, &*gone}) wait_for(loop, *each, root);
    forgetful.forget();
    gone.reset();

    source.request_stop();
    CHECK(forgetful.told == 0);
    co_await test::yield();
    CHECK(first.told == 1);
    CHECK(second.told == 1);
  });
}

TEST_CASE("stop_root: a listener that leaves, first or last or between, takes no other one along") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    stop_source source;
    detail::stop_root root(source.get_token());
    std::array<listener, 40> all;
    for (listener& each : all) wait_for(loop, each, root);
    for (const std::size_t leaves : {0U, 1U, 20U, 38U, 39U}) all[leaves].forget();
    wait_for(loop, all[20], root);
    all[20].forget();
    wait_for(loop, all[0], root);
    source.request_stop();
    for (std::size_t i = 0; i < all.size(); ++i) {
      const bool stays = i != 1 && i != 20 && i != 38 && i != 39;
      INFO(i);
      CHECK(all[i].told == (stays ? 1 : 0));
    }
    co_return;
  });
}

TEST_CASE("stop_root: eight listeners wait without an allocation, and so do as many as have waited before") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    stop_source source;
    detail::stop_root root(source.get_token());
    std::array<listener, 40> all;
    wait_for(loop, all[0], root);
    const test::allocation_count first_eight;
    for (std::size_t i = 1; i < 8; ++i) wait_for(loop, all[i], root);
    CHECK(first_eight.since() == 0);
    for (std::size_t i = 8; i < all.size(); ++i) wait_for(loop, all[i], root);
    const test::allocation_count again;
    for (listener& each : all) each.forget();
    for (listener& each : all) wait_for(loop, each, root);
    CHECK(again.since() == 0);
    source.request_stop();
    for (const listener& each : all) CHECK(each.told == 1);
    co_return;
  });
}

TEST_CASE("stop_root: a listener that another one destroys when told is not told") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    stop_source source;
    detail::stop_root root(source.get_token());
    listener first;
    std::optional<listener> second(std::in_place);
    listener third;
    bool second_told = false;
    // Whichever of the two others is told before `second`.
    first.when_told = third.when_told = [&] { second.reset(); };
    second->when_told = [&] { second_told = true; };
    for (listener* each : {&first, &*second, &third}) wait_for(loop, *each, root);
    source.request_stop();
    CHECK_FALSE(second_told);
    CHECK(first.told == 1);
    CHECK(third.told == 1);
    co_return;
  });
}

TEST_CASE("stop_root: a request of another thread tells waiting listeners in the loop, and later ones at once",
          "[threads]") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    stop_source source;
    detail::stop_root root(source.get_token());
    listener waits;
    wait_for(loop, waits, root);
    std::thread([&] { source.request_stop(); }).join();
    CHECK(waits.told == 0);

    listener comes;
    wait_for(loop, comes, root);
    CHECK(comes.told == 1);
    co_await test::until([&] { return waits.told > 0; });
    CHECK(waits.told == 1);
    CHECK(comes.told == 1);
  });
}

TEST_CASE("stop_root: a waiting listener may outlive it, and it may outlive the loop") {
  std::optional<event_loop> loop(std::in_place);
  stop_source source;
  std::optional<detail::stop_root> root(std::in_place, source.get_token());
  listener waits;
  listener leaves;
  test::run(*loop, [&]() -> task<> {
    for (listener* each : {&waits, &leaves}) wait_for(*loop, *each, *root);
    co_return;
  });
  loop.reset();
  source.request_stop();
  leaves.forget();
  root.reset();
  CHECK(waits.told == 0);
}

TEST_CASE("stop_root: a root that cannot be stopped keeps no listener") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    listener waits;
    wait_for(loop, waits, detail::never_stopped);
    CHECK(waits.told == 0);
    stop_source source;
    detail::stop_root root(source.get_token());
    wait_for(loop, waits, root);  // the listener has no place yet
    source.request_stop();
    CHECK(waits.told == 1);
    co_return;
  });
}

}  // namespace
}  // namespace uring6
