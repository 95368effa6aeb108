// Work that a loop_group cannot take for want of memory: its callable is destroyed, and may call the group meanwhile.
#include <unistd.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstddef>
#include <new>
#include <string>
#include <thread>
#include <utility>

#include "support/case/allocations.hpp"
#include "support/case/coroutines.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/environment.hpp"
#include "support/process/forked.hpp"
#include "uring6/loop_group.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

std::atomic<int> destroyed{0};

/// Asks the group when it is destroyed.
class asker {
 public:
  explicit asker(loop_group& group) noexcept : group_(&group) {}
  asker(asker&& from) noexcept : group_(std::exchange(from.group_, nullptr)) {}
  asker& operator=(asker&&) = delete;
  ~asker() {
    if (!group_) return;
    (void)group_->ended(0);
    ++destroyed;
  }
  task<> operator()() const { co_return; }

 private:
  loop_group* group_;
};

TEST_CASE("loop group: a callable that there is no memory for may ask the group when it is destroyed", "[threads]") {
  need_ipv6();
  if (!fail_allocation(0)) SKIP("the sanitizer has operators of its own");
  // In a child, which ends if the group waits for itself.
  const std::string said = in_child([] {
    ::alarm(60);
    constexpr int attempts = 12;
    int refused = 0;
    for (int nth = 1; nth <= attempts; ++nth) {
      loop_group group({.loops = 1, .pin = false});
      std::atomic<bool> started{false};
      group.spawn_on(0, [&]() -> task<> {
        started = true;
        co_return;
      });
      // Before this the loop's thread allocates what it begins with, and would take the failure.
      if (!eventually([&] { return started.load(); })) return std::string("the loop does not start");
      try {
        fail_allocation(static_cast<std::size_t>(nth));
        (void)group.spawn_on(0, asker(group));
      } catch (const std::bad_alloc&) {
        ++refused;
      }
      fail_allocation(0);
      try {
        (void)group.drain(60s);
      } catch (const std::bad_alloc&) {
        // It was the loop's thread that had no memory.
      }
    }
    if (refused < 3) return std::string("too few were refused");
    return std::string(destroyed == attempts ? "each was destroyed" : "another number was destroyed");
  });
  CHECK(said == "each was destroyed");
}

/// Notes on which thread it is destroyed.
class noting {
 public:
  explicit noting(std::atomic<std::thread::id>& where) noexcept : where_(&where) {}
  noting(noting&& from) noexcept : where_(std::exchange(from.where_, nullptr)) {}
  noting& operator=(noting&&) = delete;
  ~noting() {
    if (where_) *where_ = std::this_thread::get_id();
  }
  task<> operator()() const { co_return; }

 private:
  std::atomic<std::thread::id>* where_;
};

TEST_CASE("loop group: a callable that is refused is destroyed on the loop's thread, which still runs", "[threads]") {
  need_ipv6();
  loop_options spins;
  spins.spin = 10ms;  // it takes its posts at once
  loop_group group({.loops = 1, .cpus = {}, .pin = false, .loop = spins});
  std::atomic<std::thread::id> loops_own{};
  std::atomic<bool> finish{false};
  group.spawn_on(0, [&]() -> task<> {
    loops_own = std::this_thread::get_id();
    co_await until([&] { return finish.load(); });
  });
  REQUIRE(eventually([&] { return loops_own.load() != std::thread::id(); }));
  const std::jthread drainer([&] { (void)group.drain(60s); });
  std::atomic<int> elsewhere{0};
  bool refused = false;
  while (!refused) refused = !group.spawn_listener(0, []() -> task<> { co_return; });
  // A turn takes a microsecond where both threads run, and a time slice where they share a loaded processor.
  const auto enough = std::chrono::steady_clock::now() + 2s;
  for (int i = 0; i < 20'000 && std::chrono::steady_clock::now() < enough; ++i) {
    std::atomic<std::thread::id> where{};
    refused = refused && !group.spawn_listener(0, noting(where));
    while (where.load() == std::thread::id()) std::this_thread::yield();
    if (where.load() != loops_own.load()) ++elsewhere;
  }
  finish = true;
  CHECK(refused);
  CHECK(elsewhere == 0);
}

}  // namespace
