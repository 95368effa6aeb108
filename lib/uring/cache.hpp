// The processor's cache: its lines, and asking for memory to be there by the time it is looked at.
#pragma once

#include <cstddef>

namespace uring6::detail {

inline constexpr std::size_t cache_line = 64;

/// `size` octets from there.
inline void fetch(const void* from, std::size_t size) noexcept {
  const auto* const first = static_cast<const std::byte*>(from);
  for (std::size_t at = 0; at < size; at += cache_line) __builtin_prefetch(first + at);
  // GCC holds a function that does nothing but fetch for one without effect, and leaves its calls out.
  __asm__ volatile("");
}

}  // namespace uring6::detail
