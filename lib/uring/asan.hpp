// AddressSanitizer does not see the kernel's writes. The pool poisons the memory of each buffer that is free or with
// the kernel, so that AddressSanitizer reports a span that is used after its buffer was given back.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define URING6_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define URING6_ASAN 1
#endif
#endif

#ifdef URING6_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace uring6::inline v0::detail {

#ifdef URING6_ASAN
inline constexpr bool poisons = true;
#else
inline constexpr bool poisons = false;
#endif

inline void poison([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t size) noexcept {
#ifdef URING6_ASAN
  if (memory) __asan_poison_memory_region(memory, size);
#endif
}

inline void unpoison([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t size) noexcept {
#ifdef URING6_ASAN
  if (memory) __asan_unpoison_memory_region(memory, size);
#endif
}

}  // namespace uring6::inline v0::detail
