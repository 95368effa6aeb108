#include "uring6/detail/frame.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <cstring>
#include <memory_resource>
#include <set>
#include <thread>
#include <vector>

#include "support/case/allocations.hpp"
#include "uring6/task.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using detail::allocate_frame;
using detail::free_frame;

TEST_CASE("frames of every size are aligned, do not overlap and are fully usable") {
  struct piece {
    void* memory;
    std::size_t size;
  };
  std::vector<piece> pieces;
  for (int round = 0; round < 3; ++round) {
    for (std::size_t size = 1; size < 9'000; size += 37) {
      void* memory = allocate_frame(size);
      REQUIRE(reinterpret_cast<std::uintptr_t>(memory) % alignof(std::max_align_t) == 0);
      std::memset(memory, static_cast<int>(size & 0xff), size);
      pieces.push_back({memory, size});
    }
    for (const piece& each : pieces) {
      const auto* bytes = static_cast<const unsigned char*>(each.memory);
      REQUIRE(bytes[0] == (each.size & 0xff));
      REQUIRE(bytes[each.size - 1] == (each.size & 0xff));
      free_frame(each.memory, each.size);
    }
    pieces.clear();
  }
}

TEST_CASE("a frame that was freed is used again without an allocation") {
  free_frame(allocate_frame(500), 500);
  const allocation_count before;
  for (int i = 0; i < 100; ++i) {
    void* first = allocate_frame(500);
    void* same_class = nullptr;
    free_frame(first, 500);
    same_class = allocate_frame(497);
    CHECK(same_class == first);
    free_frame(same_class, 497);
  }
  CHECK(before.since() == 0);
}

TEST_CASE("the recycler keeps no more than its bound") {
  std::vector<void*> all;
  for (int i = 0; i < 3'000; ++i) all.push_back(allocate_frame(200));
  for (void* each : all) free_frame(each, 200);
  const allocation_count before;
  all.clear();
  for (int i = 0; i < 3'000; ++i) all.push_back(allocate_frame(200));
  CHECK(before.since() > 1'000);
  for (void* each : all) free_frame(each, 200);
}

TEST_CASE("a frame may be freed on another thread than that of its creation", "[threads]") {
  std::array<void*, 64> frames{};
  for (void*& each : frames) each = allocate_frame(300);
  std::thread([&] {
    for (void* each : frames) free_frame(each, 300);
    for (void*& each : frames) each = allocate_frame(300);
  }).join();
  for (void* each : frames) free_frame(each, 300);
  SUCCEED("no sanitizer complains");
}

TEST_CASE("a frame that outlives the recycler of its thread is freed, too", "[threads]") {
  struct last_frame {
    void* memory = nullptr;
    ~last_frame() {
      if (memory) free_frame(memory, 400);
    }
  };
  const auto thread = [] {
    std::thread([] {
      thread_local last_frame kept;  // created before the recycler, so it is destroyed after it
      kept.memory = allocate_frame(400);
      free_frame(allocate_frame(400), 400);
    }).join();
  };
  thread();  // allocates the memory that the first thread of a program needs once
  const std::size_t before = allocated_octets();
  for (int i = 0; i < 10; ++i) thread();
  CHECK(allocated_octets() == before);
}

class counting_resource final : public std::pmr::memory_resource {
 public:
  std::size_t made = 0;
  std::size_t freed = 0;

 private:
  void* do_allocate(std::size_t size, std::size_t alignment) override {
    ++made;
    return std::pmr::new_delete_resource()->allocate(size, alignment);
  }
  void do_deallocate(void* memory, std::size_t size, std::size_t alignment) override {
    ++freed;
    std::pmr::new_delete_resource()->deallocate(memory, size, alignment);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

// Not inlined: clang would remove the frame's allocation, as the standard allows.
[[gnu::noinline]] task<int> from_resource(std::allocator_arg_t, std::pmr::memory_resource*, int value) {
  co_return value;
}

struct service {
  [[gnu::noinline]] task<int> method(std::allocator_arg_t, std::pmr::memory_resource*) { co_return value; }
  int value = 5;
};

TEST_CASE("a coroutine takes its frame from the given memory resource, and returns it there") {
  counting_resource resource;
  {
    auto one = from_resource(std::allocator_arg, &resource, 4);
    service of;
    auto two = of.method(std::allocator_arg, &resource);
    CHECK(resource.made == 2);
    one.handle().resume();
    CHECK(one.handle().promise().take() == 4);
    two.handle().resume();
    CHECK(two.handle().promise().take() == 5);
  }
  CHECK(resource.freed == 2);
}

}  // namespace
