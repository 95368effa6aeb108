// Latencies in fixed memory: a log-linear histogram with buckets of at most 0.1 % of the value.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace bench {

class histogram {
 public:
  void record(std::uint64_t value) noexcept {
    ++counts_[index_of(std::min(value, largest))];
    ++total_;
    maximum_ = std::max(maximum_, value);
  }

  void merge(const histogram& other) noexcept {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    total_ += other.total_;
    maximum_ = std::max(maximum_, other.maximum_);
  }

  std::uint64_t total() const noexcept { return total_; }
  std::uint64_t maximum() const noexcept { return maximum_; }

  /// The smallest recorded value that at least `fraction` (0 to 1) of all values do not exceed, to the
  /// bucket's width.
  double quantile(double fraction) const noexcept {
    const auto wanted = static_cast<std::uint64_t>(fraction * static_cast<double>(total_));
    std::uint64_t passed = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      passed += counts_[i];
      if (passed > 0 && passed >= wanted) return middle_of(i);
    }
    return 0;
  }

 private:
  // Values below 2^bits have a bucket each; above, every octave has half as many, 2^(bits - 1) = 1024.
  static constexpr unsigned bits = 11;
  static constexpr std::uint64_t linear = 1u << bits;
  static constexpr std::uint64_t half = linear / 2;
  static constexpr std::uint64_t largest = (std::uint64_t{1} << 40) - 1;  // 18 minutes

  static std::size_t index_of(std::uint64_t value) noexcept {
    if (value < linear) return value;
    const auto octave = static_cast<unsigned>(std::bit_width(value)) - bits;
    return linear + (octave - 1) * half + ((value >> octave) - half);
  }

  static double middle_of(std::size_t index) noexcept {
    if (index < linear) return static_cast<double>(index);
    const auto octave = (index - linear) / half + 1;
    const auto lowest = (half + (index - linear) % half) << octave;
    return static_cast<double>(lowest) + static_cast<double>(std::uint64_t{1} << octave) / 2;
  }

  std::vector<std::uint64_t> counts_ = std::vector<std::uint64_t>(linear + (40 - bits) * half);
  std::uint64_t total_ = 0;
  std::uint64_t maximum_ = 0;
};

}  // namespace bench
