#include "uring6/task.hpp"

#include <pthread.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <memory_resource>
#include <stdexcept>
#include <string>

#include "support/case/counted.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/scope.hpp"
#include "uring6/timer.hpp"

using namespace std::chrono_literals;
using uring6::test::counted;

namespace uring6 {
namespace {

task<int> value(int what) {
  co_return what;
}

// Counts the memory that it has given out.
class lender final : public std::pmr::memory_resource {
 public:
  std::size_t lent = 0;
  std::size_t times = 0;

 private:
  void* do_allocate(std::size_t size, std::size_t alignment) override {
    lent += size;
    ++times;
    return std::pmr::new_delete_resource()->allocate(size, alignment);
  }
  void do_deallocate(void* what, std::size_t size, std::size_t alignment) override {
    lent -= size;
    std::pmr::new_delete_resource()->deallocate(what, size, alignment);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

// Not inlined: clang would remove the frame's allocation, as the standard allows.
[[gnu::noinline]] task<int> from_resource(std::allocator_arg_t, std::pmr::memory_resource*, int what) {
  [[maybe_unused]] const auto slept = co_await sleep_for(1ms);
  co_return what;
}

[[gnu::noinline]] task<int> from_allocator(std::allocator_arg_t, std::pmr::polymorphic_allocator<>, int what) {
  [[maybe_unused]] const auto slept = co_await sleep_for(1ms);
  co_return what;
}
[[gnu::noinline]] task<int> from_reference(std::allocator_arg_t, const std::pmr::polymorphic_allocator<int>&) {
  co_return 8;
}

struct with_member {
  int what;
  [[gnu::noinline]] task<int> from_allocator(std::allocator_arg_t, std::pmr::polymorphic_allocator<char>) const {
    co_return what;
  }
  [[gnu::noinline]] task<int> from_resource(std::allocator_arg_t, std::pmr::memory_resource*) const { co_return what; }
};

struct refuses final : std::pmr::memory_resource {
  void* do_allocate(std::size_t, std::size_t) override { throw std::bad_alloc(); }
  void do_deallocate(void*, std::size_t, std::size_t) override {}
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

}  // namespace

TEST_CASE("task: does nothing until it is awaited, and is destroyed if it is never awaited") {
  bool ran = false;
  auto body = [&](counted) -> task<> {
    ran = true;
    co_return;
  };
  {
    const counted given;
    const task<> lazy = body(given);
    CHECK(counted::alive == 2);
  }
  CHECK_FALSE(ran);
  CHECK(counted::alive == 0);
}

TEST_CASE("task: an exception reaches the awaiting coroutine, before a suspension and after") {
  event_loop loop;
  auto fails = [](bool late) -> task<int> {
    if (late) co_await sleep_for(1ms);
    throw std::runtime_error("inside");
    co_return 1;
  };
  auto body = [&]() -> task<int> {
    int caught = 0;
    for (const bool late : {false, true}) {
      try {
        co_await fails(late);
      } catch (const std::runtime_error&) {
        ++caught;
      }
    }
    co_return caught;
  };
  CHECK(loop.run(body()) == 2);
}

TEST_CASE("task: throws if it is awaited twice, moved from, or awaited by another coroutine already") {
  event_loop loop;
  auto body = []() -> task<> {
    task<int> once = value(1);
    const int first = co_await std::move(once);
    CHECK(first == 1);
    CHECK_THROWS_AS(std::move(once).operator co_await(), std::logic_error);

    task<int> source = value(2);
    task<int> target = std::move(source);
    CHECK_THROWS_AS(std::move(source).operator co_await(), std::logic_error);
    const int moved = co_await std::move(target);
    CHECK(moved == 2);
  };
  loop.run(body());

  auto sleeper = []() -> task<> { [[maybe_unused]] const auto slept = co_await sleep_for(1ms); };
  auto awaits = [](task<>& shared) -> task<> { co_await std::move(shared); };
  auto both = [&]() -> task<> {
    task<> shared = sleeper();
    scope awaiting;
    awaiting.spawn(awaits(shared));
    awaiting.spawn(awaits(shared));
    co_await awaiting.join();
  };
  CHECK_THROWS_AS(loop.run(both()), std::logic_error);
}

TEST_CASE("task: results that own memory arrive complete, and are destroyed once") {
  event_loop loop;
  struct text_and_owner {
    std::string text;
    std::shared_ptr<counted> owner;
  };
  auto make = [](bool late) -> task<text_and_owner> {
    if (late) co_await sleep_for(1ms);
    co_return text_and_owner{std::string(64, 'x'), std::make_shared<counted>()};
  };
  auto body = [&]() -> task<> {
    for (int i = 0; i < 10; ++i) {
      const text_and_owner got = co_await make(i % 2 == 0);
      CHECK(got.text.size() == 64);
      CHECK(got.owner.use_count() == 1);
      co_await make(i % 2 == 0);  // the result is dropped
      CHECK(counted::alive == 1);
    }
  };
  loop.run(body());
  CHECK(counted::alive == 0);
}

TEST_CASE("task: the frame comes from a caller's memory resource, and is returned there") {
  event_loop loop;
  lender resource;
  CHECK(loop.run(from_resource(std::allocator_arg, &resource, 3)) == 3);
  CHECK(resource.times == 1);
  CHECK(resource.lent == 0);

  const with_member object{4};
  CHECK(loop.run(object.from_resource(std::allocator_arg, &resource)) == 4);
  CHECK(resource.times == 2);
  CHECK(resource.lent == 0);

  {
    const task<int> never_run = from_resource(std::allocator_arg, &resource, 5);
    CHECK(resource.lent > 0);
  }
  CHECK(resource.lent == 0);

  refuses nothing_left;
  CHECK_THROWS_AS(from_resource(std::allocator_arg, &nothing_left, 6), std::bad_alloc);
}

TEST_CASE("task: the frame comes from the resource of a caller's polymorphic allocator, and is returned there") {
  event_loop loop;
  lender resource;
  CHECK(loop.run(from_allocator(std::allocator_arg, &resource, 7)) == 7);
  CHECK(resource.times == 1);
  const std::pmr::polymorphic_allocator<int> allocator(&resource);
  CHECK(loop.run(from_reference(std::allocator_arg, allocator)) == 8);
  CHECK(resource.times == 2);
  const with_member object{9};
  CHECK(loop.run(object.from_allocator(std::allocator_arg, &resource)) == 9);
  CHECK(resource.times == 3);
  CHECK(resource.lent == 0);

  refuses nothing_left;
  CHECK_THROWS_AS(from_allocator(std::allocator_arg, &nothing_left, 6), std::bad_alloc);
}

TEST_CASE("task: a million awaits that end at once fit on a small stack") {
  struct on_small_stack {
    static void* run(void* failure) {
      try {
        event_loop loop;
        auto body = []() -> task<long> {
          long sum = 0;
          for (int i = 0; i < 1'000'000; ++i) sum += co_await value(1);
          co_return sum;
        };
        if (loop.run(body()) != 1'000'000) throw std::runtime_error("a wrong sum");
      } catch (...) {
        *static_cast<std::exception_ptr*>(failure) = std::current_exception();
      }
      return nullptr;
    }
  };
  pthread_attr_t attributes;
  REQUIRE(::pthread_attr_init(&attributes) == 0);
  REQUIRE(::pthread_attr_setstacksize(&attributes, std::size_t{256} * 1024) == 0);
  std::exception_ptr failure;
  pthread_t thread{};
  REQUIRE(::pthread_create(&thread, &attributes, on_small_stack::run, &failure) == 0);
  ::pthread_join(thread, nullptr);
  ::pthread_attr_destroy(&attributes);
  if (failure) std::rethrow_exception(failure);
}

}  // namespace uring6
