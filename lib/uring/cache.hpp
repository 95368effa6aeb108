// The processor's cache: the length of its lines, and prefetching.
#pragma once

#include <cstddef>

namespace uring6::inline v0::detail {

/// Octets: of x86-64 and of most 64-bit Arm processors.
inline constexpr std::size_t cache_line = 64;

/// Prefetches the cache lines of `size` octets from `from` on.
inline void fetch(const void* from, std::size_t size) noexcept {
  const auto* const first = static_cast<const std::byte*>(from);
  for (std::size_t at = 0; at < size; at += cache_line) __builtin_prefetch(first + at);
  // Without this GCC takes a function that only prefetches for one without effect, and removes its calls.
  __asm__ volatile("");
}

}  // namespace uring6::inline v0::detail
