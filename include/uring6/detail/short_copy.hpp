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
  const auto piece = [=](std::size_t at) { std::memcpy(into + at, from + at, short_piece); };
  std::size_t at = 0;
#pragma GCC unroll 1
  for (; at + 4 * short_piece <= length; at += 4 * short_piece) {
    piece(at);
    piece(at + short_piece);
    piece(at + 2 * short_piece);
    piece(at + 3 * short_piece);
  }
#pragma GCC unroll 1
  for (; at + short_piece <= length; at += short_piece) piece(at);
  if (at < length) piece(length - short_piece);  // overlaps the one before
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
