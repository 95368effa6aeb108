// The allocator's entry points: each call is counted and passed on to glibc. operator new ends here, too.
#include "subjects/allocations.hpp"

#include <cerrno>
#include <cstddef>

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
}

namespace {

// Allocations of before main begins go to this counter, which is not read.
std::atomic<std::uint64_t> unread{0};
std::atomic<std::uint64_t>* counter = &unread;

void count() noexcept {
  counter->fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

namespace bench {
void count_allocations_in(std::atomic<std::uint64_t>& wanted) noexcept {
  counter = &wanted;
}
}  // namespace bench

extern "C" {

void* malloc(std::size_t size) {
  count();
  return __libc_malloc(size);
}

void* calloc(std::size_t n, std::size_t size) {
  count();
  return __libc_calloc(n, size);
}

void* realloc(void* old, std::size_t size) {
  count();
  return __libc_realloc(old, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) {
  count();
  return __libc_memalign(alignment, size);
}

int posix_memalign(void** out, std::size_t alignment, std::size_t size) {
  count();
  *out = __libc_memalign(alignment, size);
  return *out == nullptr ? ENOMEM : 0;
}

}  // extern "C"
