#include "support/case/allocations.hpp"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <utility>

// ThreadSanitizer has operators of its own, which clang links beside these: there, nothing is counted.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define URING6_OPERATORS_ARE_TAKEN
#endif
#endif

namespace {

std::atomic<std::size_t> count{0};
std::atomic<std::size_t> held{0};
std::atomic<std::size_t> until_failure{0};  // 0: none fails
std::atomic<bool> failure_lasts{false};
std::atomic<std::size_t> failures{0};

thread_local void (*call_next)(void*) = nullptr;
thread_local void* call_with = nullptr;

}  // namespace

#ifndef URING6_OPERATORS_ARE_TAKEN
namespace {

bool fails() noexcept {
  std::size_t left = until_failure.load();
  if (left == 0) return false;
  while (left > 1 && !until_failure.compare_exchange_weak(left, left - 1)) {
  }
  if (left != 1) return false;
  if (!failure_lasts.load() && !until_failure.compare_exchange_strong(left, 0)) return false;
  failures.fetch_add(1);
  return true;
}

void* note(void* memory) noexcept {
  if (call_next) std::exchange(call_next, nullptr)(call_with);
  count.fetch_add(1, std::memory_order_relaxed);
  held.fetch_add(::malloc_usable_size(memory), std::memory_order_relaxed);
  return memory;
}

void drop(void* memory) noexcept {
  held.fetch_sub(::malloc_usable_size(memory), std::memory_order_relaxed);
  std::free(memory);
}

void* take(std::size_t size) noexcept {
  if (fails()) return nullptr;
  return note(std::malloc(size == 0 ? 1 : size));
}

void* take_aligned(std::size_t size, std::align_val_t alignment) noexcept {
  if (fails()) return nullptr;
  const auto unit = static_cast<std::size_t>(alignment);
  return note(std::aligned_alloc(unit, (size + unit - 1) / unit * unit));
}

void* or_throw(void* memory) {
  if (!memory) throw std::bad_alloc();
  return memory;
}

}  // namespace

// The default array forms call these.
void* operator new(std::size_t size) {
  return or_throw(take(size));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return or_throw(take_aligned(size, alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return take(size);
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return take_aligned(size, alignment);
}
void operator delete(void* memory) noexcept {
  drop(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  drop(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  drop(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  drop(memory);
}
#endif

namespace uring6::test {

std::size_t allocations() noexcept {
  return count.load(std::memory_order_relaxed);
}
std::size_t allocated_octets() noexcept {
  return held.load(std::memory_order_relaxed);
}

bool at_next_allocation(void (*call)(void*), void* what) noexcept {
  call_next = call;
  call_with = what;
#ifdef URING6_OPERATORS_ARE_TAKEN
  return false;
#else
  return true;
#endif
}

bool fail_allocation(std::size_t nth, bool lasting) noexcept {
  failures.store(0);
  failure_lasts.store(lasting);
  until_failure.store(nth);
#ifdef URING6_OPERATORS_ARE_TAKEN
  return false;
#else
  return true;
#endif
}
std::size_t failed_allocations() noexcept {
  return failures.load();
}

}  // namespace uring6::test
