// The choices of a schedule: each follows from one seed.
#pragma once

#include <cassert>
#include <cstdint>
#include <utility>
#include <vector>

namespace uring6::inline v0::detail {

/// Numbers that look random and are the same for the same seed, on every machine (splitmix64).
class schedule {
 public:
  explicit schedule(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
  }

  /// 0 to `count` - 1. Precondition (asserted): `count` is not 0.
  unsigned below(unsigned count) noexcept {
    assert(count > 0);
    return static_cast<unsigned>(next() % count);
  }

  /// True once in `times`, on average.
  bool once_in(unsigned times) noexcept { return below(times) == 0; }

  /// Any order of the elements.
  template <class T>
  void shuffle(std::vector<T>& all) noexcept {
    for (std::size_t left = all.size(); left > 1; --left)
      std::swap(all[left - 1], all[below(static_cast<unsigned>(left))]);
  }

 private:
  std::uint64_t state_;
};

/// A number made of a sequence of numbers, such that two sequences with the same number are the same (FNV-1a).
class trace_digest {
 public:
  void add(std::uint64_t value) noexcept {
    for (unsigned shift = 0; shift < 64; shift += 8) sum_ = (sum_ ^ (value >> shift & 0xff)) * 0x100000001b3;
  }
  std::uint64_t value() const noexcept { return sum_; }

 private:
  std::uint64_t sum_ = 0xcbf29ce484222325;
};

}  // namespace uring6::inline v0::detail
