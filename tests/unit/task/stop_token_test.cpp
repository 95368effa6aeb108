#include "uring6/stop_token.hpp"

#include <atomic>
#include <barrier>
#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/case/allocations.hpp"
#include "support/case/eventually.hpp"
#include "support/process/forked.hpp"

namespace uring6 {
namespace {

/// A callback that can be kept in a variable.
struct counting {
  int* calls;
  void operator()() const noexcept { ++*calls; }
};

TEST_CASE("stop_token: it is false until the stop is requested, once") {
  stop_source source;
  const stop_token token = source.get_token();
  CHECK(token.stop_possible());
  CHECK_FALSE(token.stop_requested());
  CHECK_FALSE(source.stop_requested());
  CHECK(source.request_stop());
  CHECK_FALSE(source.request_stop());
  CHECK(token.stop_requested());
  CHECK(source.stop_requested());
}

TEST_CASE("stop_token: tokens of one source are equal, and a default one never stops") {
  stop_source one;
  stop_source other;
  CHECK(one.get_token() == one.get_token());
  CHECK(one.get_token() != other.get_token());
  CHECK(stop_token() == stop_token());
  CHECK(one.get_token() != stop_token());
  CHECK_FALSE(stop_token().stop_possible());
  CHECK_FALSE(stop_token().stop_requested());
  int calls = 0;
  { const stop_callback never(stop_token(), counting{&calls}); }
  CHECK(calls == 0);
}

TEST_CASE("stop_callback: it is called once by the request, or by its constructor afterwards") {
  stop_source source;
  int calls = 0;
  int gone = 0;
  const stop_callback here(source.get_token(), counting{&calls});
  { const stop_callback left(source.get_token(), counting{&gone}); }
  CHECK(calls == 0);
  source.request_stop();
  CHECK(calls == 1);
  source.request_stop();
  CHECK(calls == 1);
  const stop_callback late(source.get_token(), counting{&calls});
  CHECK(calls == 2);
  CHECK(gone == 0);
}

TEST_CASE("stop_callback: a callback may destroy itself, the others, and the source") {
  SECTION("itself") {
    stop_source source;
    std::optional<stop_callback<std::function<void()>>> itself;
    itself.emplace(source.get_token(), [&] { itself.reset(); });
    source.request_stop();
    CHECK_FALSE(itself);
  }
  SECTION("the others, called or not") {
    stop_source source;
    std::optional<stop_callback<counting>> before;
    std::optional<stop_callback<counting>> after;
    int calls = 0;
    const auto drop = [&]() noexcept {
      before.reset();
      after.reset();
    };
    before.emplace(source.get_token(), counting{&calls});
    const stop_callback dropping(source.get_token(), drop);
    after.emplace(source.get_token(), counting{&calls});
    source.request_stop();
    CHECK_FALSE(before);
    CHECK_FALSE(after);
    CHECK(calls <= 1);
  }
  SECTION("the source") {
    std::optional<stop_source> source(std::in_place);
    std::optional<stop_callback<std::function<void()>>> last;
    int calls = 0;
    last.emplace(source->get_token(), [&] {
      ++calls;
      source.reset();
    });
    source->request_stop();
    last.reset();
    CHECK(calls == 1);
    CHECK_FALSE(source);
  }
  SECTION("the source, and then itself") {
    std::optional<stop_source> source(std::in_place);
    std::optional<stop_callback<std::function<void()>>> itself;
    itself.emplace(source->get_token(), [&] {
      source.reset();
      itself.reset();
    });
    source->request_stop();
    CHECK_FALSE(itself);
    CHECK_FALSE(source);
  }
}

TEST_CASE("stop_callback: a callback may register another one, which is called at once") {
  stop_source source;
  int calls = 0;
  std::optional<stop_callback<counting>> inner;
  const stop_callback outer(source.get_token(),
                            [&]() noexcept { inner.emplace(source.get_token(), counting{&calls}); });
  source.request_stop();
  CHECK(calls == 1);
}

TEST_CASE("stop_callback: its destructor waits for a call on another thread", "[threads]") {
  stop_source source;
  std::atomic<bool> entered = false;
  std::atomic<bool> leave = false;
  std::atomic<bool> returned = false;
  std::thread helper;
  std::thread requester;
  {
    const stop_callback slow(source.get_token(), [&]() noexcept {
      entered = true;
      entered.notify_all();
      leave.wait(false);
      returned = true;
    });
    requester = std::thread([&] { source.request_stop(); });
    entered.wait(false);
    // The call goes on once the destructor sleeps: it must be woken, too.
    helper = std::thread([&] {
      test::eventually(test::other_threads_sleep);
      leave = true;
      leave.notify_all();
    });
  }
  CHECK(returned);
  requester.join();
  helper.join();
}

TEST_CASE("stop_source: its destructor waits for a request that calls on another thread", "[threads]") {
  for (int round = 0; round < 200; ++round) {
    std::optional<stop_source> source(std::in_place);
    std::atomic<bool> called = false;
    std::thread requester;
    {
      const stop_callback told(source->get_token(), [&]() noexcept { called = true; });
      requester = std::thread([&] { source->request_stop(); });
      while (!called) std::this_thread::yield();
    }
    source.reset();
    requester.join();
  }
}

TEST_CASE("stop_callback: callbacks that come and go beside requests are called at most once each", "[threads]") {
  for (int round = 0; round < 100; ++round) {
    stop_source source;
    std::barrier begin(4);
    std::atomic<int> first = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] {
        begin.arrive_and_wait();
        if (source.request_stop()) ++first;
      });
    }
    std::atomic<int> wrong = 0;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] {
        begin.arrive_and_wait();
        for (int turn = 0; turn < 200; ++turn) {
          std::atomic<int> calls = 0;
          const bool before = source.stop_requested();
          {
            const stop_callback told(source.get_token(), [&]() noexcept { ++calls; });
          }
          if (calls > 1 || (before && calls != 1)) ++wrong;
        }
      });
    }
    for (std::thread& each : threads) each.join();
    CHECK(first == 1);
    CHECK(wrong == 0);
  }
}

TEST_CASE("stop_token: a std::stop_token becomes one that shares its state") {
  const auto standard = std::make_unique<std::stop_source>();  // in a local variable g++ 12 -Og warns of it
  const std::stop_token of_standard = standard->get_token();
  const stop_token token = of_standard;
  CHECK(token == stop_token(of_standard));
  CHECK(token != stop_token());
  CHECK(token.stop_possible());
  int calls = 0;
  const stop_callback told(token, counting{&calls});
  { const stop_callback left(token, counting{&calls}); }
  standard->request_stop();
  CHECK(token.stop_requested());
  CHECK(calls == 1);
  CHECK_FALSE(stop_token(std::stop_token()).stop_possible());
}

TEST_CASE("stop_token: nothing of it allocates") {
  const test::allocation_count allocations;
  stop_source source;
  int calls = 0;
  {
    const stop_callback one(source.get_token(), counting{&calls});
    const stop_callback two(source.get_token(), counting{&calls});
    source.request_stop();
  }
  CHECK(calls == 2);
  CHECK(allocations.since() == 0);
}

static_assert(!std::is_copy_constructible_v<stop_source> && !std::is_move_constructible_v<stop_source>);
static_assert(!std::is_move_constructible_v<stop_callback<counting>>);
static_assert(std::is_nothrow_copy_constructible_v<stop_token>);
static_assert(std::is_nothrow_constructible_v<stop_callback<counting>, stop_token, counting>);

}  // namespace
}  // namespace uring6
