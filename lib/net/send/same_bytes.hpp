// Compares the bytes of two values, which is faster than comparing them member by member.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace uring6::inline v0::detail {

/// True: the values are equal. False: they may still be equal, because padding and the storage of an empty optional are
/// compared, too; the caller then compares the members.
template <class T>
bool same_bytes(const T& one, const T& other) noexcept {
  using block [[gnu::vector_size(16)]] = std::uint64_t;  // one vector register of every 64-bit processor
  static_assert(std::is_trivially_copyable_v<T>);
  const auto load = [](const T& from, std::size_t at) {
    block loaded{};
    std::memcpy(&loaded, reinterpret_cast<const std::byte*>(&from) + at, std::min(sizeof(T) - at, sizeof loaded));
    return loaded;
  };
  block differing{};
#pragma GCC unroll 16
  for (std::size_t at = 0; at < sizeof(T); at += sizeof(block)) differing |= load(one, at) ^ load(other, at);
  return (differing[0] | differing[1]) == 0;
}

}  // namespace uring6::inline v0::detail
