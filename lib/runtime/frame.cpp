#include "uring6/detail/frame.hpp"

#include <array>
#include <new>

namespace uring6::detail {
namespace {

// Before each frame: the resource it came from, or nullptr for the recycler. Keeps the frame aligned.
struct alignas(alignof(std::max_align_t)) frame_header {
  std::pmr::memory_resource* resource;
};

constexpr std::size_t step = 64;
constexpr std::size_t largest = 16 * 1024;
constexpr std::size_t kept_per_class = 1024;

constexpr std::size_t class_of(std::size_t size) noexcept {
  return (size - 1) / step;
}

// Free frames of one thread, by size in steps of a cache line, last freed first used: it is still warm. A frame
// may be freed on another thread than it was made on; it then serves that one.
class recycler {
 public:
  ~recycler() {
    for (auto& each : shelves_) {
      while (each.first) ::operator delete(pop(each));
    }
  }

  void* take(std::size_t size) {
    shelf& from = shelves_[class_of(size)];
    if (from.first) return pop(from);
    return ::operator new((class_of(size) + 1) * step);
  }

  void give(void* block, std::size_t size) noexcept {
    shelf& to = shelves_[class_of(size)];
    if (to.count == kept_per_class) return ::operator delete(block);
    to.first = new (block) link{to.first};
    ++to.count;
  }

 private:
  struct link {
    link* next;
  };
  struct shelf {
    link* first = nullptr;
    std::size_t count = 0;
  };

  static void* pop(shelf& from) noexcept {
    link* block = from.first;
    from.first = block->next;
    --from.count;
    return block;
  }

  std::array<shelf, class_of(largest) + 1> shelves_;
};

thread_local recycler frames;

}  // namespace

void* allocate_frame(std::size_t size, std::pmr::memory_resource* resource) {
  const std::size_t whole = size + sizeof(frame_header);
  void* block = resource          ? resource->allocate(whole, alignof(frame_header))
                : whole > largest ? ::operator new(whole)
                                  : frames.take(whole);
  return new (block) frame_header{resource} + 1;
}

void free_frame(void* frame, std::size_t size) noexcept {
  const std::size_t whole = size + sizeof(frame_header);
  frame_header* block = static_cast<frame_header*>(frame) - 1;
  if (block->resource) {
    block->resource->deallocate(block, whole, alignof(frame_header));
  } else if (whole > largest) {
    ::operator delete(block);
  } else {
    frames.give(block, whole);
  }
}

}  // namespace uring6::detail
