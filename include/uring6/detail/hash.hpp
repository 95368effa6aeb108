// The mixing of std::hash for values of several fields.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace uring6::inline v0::detail {

/// The finalizer of splitmix64: every input bit reaches every output bit.
constexpr std::uint64_t mix(std::uint64_t word) noexcept {
  word += 0x9e3779b97f4a7c15U;
  word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9U;
  word = (word ^ (word >> 27)) * 0x94d049bb133111ebU;
  return word ^ (word >> 31);
}

/// One hash of all fields. Their order counts.
template <class... Fields>
std::size_t hash_of(const Fields&... fields) noexcept {
  std::uint64_t all = 0;
  ((all = mix(all + std::hash<Fields>{}(fields))), ...);
  return static_cast<std::size_t>(all);
}

/// The same for the elements of a range.
template <class Range>
std::size_t hash_of_all(const Range& range) noexcept {
  std::uint64_t all = 0;
  for (const auto& each : range) all = mix(all + hash_of(each));
  return static_cast<std::size_t>(all);
}

}  // namespace uring6::inline v0::detail
