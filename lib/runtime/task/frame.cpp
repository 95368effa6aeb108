#include "uring6/detail/frame.hpp"

#include <array>
#include <cassert>
#include <cstdint>
#include <new>
#include <utility>

namespace uring6::inline v0::detail {
namespace {

// Stored before each frame: the memory resource that the frame came from, or nullptr for the recycler; and the octets
// of the frame with a mark, by which `frame_size` knows a header. Its alignment keeps the frame aligned.
struct alignas(alignof(std::max_align_t)) frame_header {
  std::pmr::memory_resource* resource;
  std::uint64_t marked_size;
};

constexpr unsigned size_bits = 40;                 // a frame of a tebioctet is refused by operator new
constexpr std::uint64_t header_mark = 0x75'72'36;  // "ur6", above the size

constexpr std::size_t step = 64;              // octets between two size classes: a cache line
constexpr std::size_t largest = 16 * 1024;    // octets: longer frames are rare, and go to operator new
constexpr std::size_t kept_per_class = 1024;  // free frames of one size that a thread keeps: bounds what a burst leaves

constexpr std::size_t class_of(std::size_t size) noexcept {
  return (size - 1) / step;
}

// The free frames of one thread, by size class. The frame that was freed last is reused first, because it is still in
// the processor's cache. A frame that is freed on another thread than it was made on belongs to the other thread's
// recycler.
class recycler {
 public:
  recycler() = default;
  recycler(const recycler&) = delete;
  recycler& operator=(const recycler&) = delete;
  ~recycler() {
    for (auto& each : shelves_) {
      while (each.first) ::operator delete(pop(each));
    }
  }

  /// nullptr if no frame of this size is free.
  void* take(std::size_t size) noexcept {
    assert(size > 0 && size <= largest);
    shelf& from = shelves_[class_of(size)];
    return from.first ? pop(from) : nullptr;
  }

  /// False if `kept_per_class` frames of this size are free already: the caller deletes the block.
  bool give(void* block, std::size_t size) noexcept {
    assert(size > 0 && size <= largest);
    shelf& to = shelves_[class_of(size)];
    assert((to.count == 0) == (to.first == nullptr) && to.count <= kept_per_class);
    if (to.count == kept_per_class) return false;
    to.first = new (block) link{to.first};
    ++to.count;
    return true;
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
    assert(from.first && from.count > 0);
    link* block = from.first;
    from.first = block->next;
    --from.count;
    return block;
  }

  std::array<shelf, class_of(largest) + 1> shelves_;
};

// A pointer, because glibc keeps only 512 octets in each thread for the thread-local variables of all libraries that
// dlopen loads, and the shelves are 4,096 octets. nullptr before the thread frees its first frame, when there was no
// memory for the shelves, and once the thread ends.
[[gnu::tls_model("initial-exec")]] constinit thread_local recycler* frames = nullptr;

constinit thread_local bool thread_ends = false;

struct frames_owner {
  // Runs at the end of the thread. Frames that the thread's later destructors free go to operator delete.
  ~frames_owner() {
    delete std::exchange(frames, nullptr);
    thread_ends = true;
  }
};

[[gnu::noinline]] void make_recycler() noexcept {
  assert(!frames);
  if (thread_ends) return;
  thread_local frames_owner owner;
  frames = new (std::nothrow) recycler;
}

}  // namespace

void* allocate_frame(std::size_t size, std::pmr::memory_resource* resource) {
  const std::size_t whole = size + sizeof(frame_header);
  void* block = nullptr;
  if (resource) {
    block = resource->allocate(whole, alignof(frame_header));
  } else if (whole > largest) {
    block = ::operator new(whole);
  } else {
    if (frames) block = frames->take(whole);
    if (!block) block = ::operator new((class_of(whole) + 1) * step);
  }
  return new (block) frame_header{resource, header_mark << size_bits | size} + 1;
}

// Not checked by the address sanitizer: a frame without a header may be the first variable of a function.
[[gnu::no_sanitize_address]] std::size_t frame_size(const void* frame) noexcept {
  const std::uint64_t marked = (static_cast<const frame_header*>(frame) - 1)->marked_size;
  return marked >> size_bits == header_mark ? marked & ((std::uint64_t{1} << size_bits) - 1) : 0;
}

void free_frame(void* frame, std::size_t size) noexcept {
  const std::size_t whole = size + sizeof(frame_header);
  frame_header* block = static_cast<frame_header*>(frame) - 1;
  if (block->resource) {
    block->resource->deallocate(block, whole, alignof(frame_header));
    return;
  }
  if (whole <= largest) {
    if (!frames) [[unlikely]]
      make_recycler();
    if (frames && frames->give(block, whole)) return;
  }
  ::operator delete(block);
}

}  // namespace uring6::inline v0::detail
