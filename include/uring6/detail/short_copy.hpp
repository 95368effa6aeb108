// Copying what is a few words long, as the payloads of most datagrams are.
#pragma once

#include <cstddef>
#include <cstring>

namespace uring6::detail {

inline constexpr std::size_t short_piece = 16;
inline constexpr std::size_t longest_short = 16 * short_piece;

/// `length` octets, short_piece to longest_short.
///
/// In pieces of 16. The reader's buffer lies where the compiler has put it; the C library stores 32 octets at a time,
/// and for one that crosses a cache line the reader's first look at its datagram has to wait.
inline void copy_short(std::byte* into, const std::byte* from, std::size_t length) noexcept {
  const std::size_t last = length - short_piece;  // overlaps the one before
#pragma GCC unroll 1
  for (std::size_t at = 0; at < last; at += short_piece) std::memcpy(into + at, from + at, short_piece);
  std::memcpy(into + last, from + last, short_piece);
}

/// `length` octets, any number.
inline void copy_datagram(std::byte* into, const std::byte* from, std::size_t length) noexcept {
  if (length >= short_piece && length <= longest_short) {
    copy_short(into, from, length);
  } else if (length > 0) {
    std::memcpy(into, from, length);
  }
}

}  // namespace uring6::detail
