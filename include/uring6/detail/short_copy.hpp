// Copies of a few words, the length of most datagrams' payloads.
#pragma once

#include <cstddef>
#include <cstring>

namespace uring6::inline v0::detail {

/// Octets of one copied piece: one vector register, which every 64-bit target stores at once.
inline constexpr std::size_t short_piece = 16;
/// The longest copy that is made in such pieces, octets: 16 of them. Longer ones are left to memcpy.
inline constexpr std::size_t longest_short = 16 * short_piece;

/// Copies `length` octets, short_piece to longest_short, in pieces of 16.
///
/// The C library would store 32 octets at a time. The compiler chooses where the reader's buffer lies; if such a
/// store crosses a cache line, the reader's first access to its datagram has to wait.
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
  if (at < length) piece(length - short_piece);  // overlaps the piece before
}

/// Copies `length` octets, any number.
inline void copy_datagram(std::byte* into, const std::byte* from, std::size_t length) noexcept {
  if (length >= short_piece && length <= longest_short) {
    copy_short(into, from, length);
  } else if (length > 0) {
    std::memcpy(into, from, length);
  }
}

}  // namespace uring6::inline v0::detail
