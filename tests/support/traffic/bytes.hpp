// Bytes for codec tests, written as in an RFC.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace uring6::test {

using bytes = std::vector<std::byte>;

/// "60 00 0000 0008 3aff": hexadecimal digits in pairs; white space is ignored.
inline bytes from_hex(std::string_view text) {
  bytes all;
  int digits = 0;
  unsigned value = 0;
  for (const char c : text) {
    if (c == ' ' || c == '\n') continue;
    const auto digit = std::string_view("0123456789abcdef").find(c);
    if (digit == std::string_view::npos) throw std::invalid_argument("not a hexadecimal digit");
    value = value << 4 | static_cast<unsigned>(digit);
    if (++digits % 2 == 0) all.push_back(static_cast<std::byte>(value & 0xff));
  }
  if (digits % 2 != 0) throw std::invalid_argument("half a byte");
  return all;
}

/// Concatenates the parts.
inline bytes join(std::initializer_list<std::span<const std::byte>> parts) {
  bytes all;
  for (const auto part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// `count` bytes, each different from its neighbors.
inline bytes counting(std::size_t count, unsigned first = 0) {
  bytes all(count);
  for (std::size_t i = 0; i < count; ++i) all[i] = static_cast<std::byte>((first + i) & 0xff);
  return all;
}

/// A copy in memory of exactly its size, so that a sanitizer detects a read one byte too far.
inline bytes exact(std::span<const std::byte> from) {
  bytes copy(from.begin(), from.end());
  copy.shrink_to_fit();
  return copy;
}

inline std::string to_hex(std::span<const std::byte> from) {
  std::string text;
  for (const std::byte b : from) {
    text += "0123456789abcdef"[std::to_integer<unsigned>(b) >> 4];
    text += "0123456789abcdef"[std::to_integer<unsigned>(b) & 15];
  }
  return text;
}

}  // namespace uring6::test
