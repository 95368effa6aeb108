// Whether two values are the same to the byte: faster asked than whether they are equal, member by member.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace uring6::detail {

/// If so they are equal. If not they may be equal nevertheless: the difference may lie in what is not theirs,
/// padding and what an empty optional holds.
template <class T>
bool same_bytes(const T& one, const T& other) noexcept {
  using block [[gnu::vector_size(16)]] = std::uint64_t;  // a register of any 64-bit machine
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

}  // namespace uring6::detail
