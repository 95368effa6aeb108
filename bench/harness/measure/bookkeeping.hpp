// The accounts of a window: the kernel's drops, and the processors' time.
#pragma once

#include <cstdint>
#include <vector>

#include "harness/measure/window.hpp"
#include "harness/process.hpp"

namespace bench {

/// Opened at the beginning of a window, closed at its end.
class bookkeeper {
 public:
  /// Drops at `ports` are the window's losses. The harness's own processor time counts as the peer's, and that of
  /// `peer`, too.
  bookkeeper(std::vector<std::uint16_t> ports, const subject_process& subject, const subject_process* peer = nullptr);

  void close(window& w) const;

 private:
  std::uint64_t peer_cpu_ns() const;

  std::vector<std::uint16_t> ports_;
  const subject_process& subject_;
  const subject_process* peer_;
  std::uint64_t drops_;
  std::uint64_t subject_cpu_ns_;
  std::uint64_t peer_cpu_ns_;
};

/// 0 + 1 + … + (n - 1), as a receiver's sum wraps around.
constexpr std::uint64_t sum_below(std::uint64_t n) noexcept {
  return n % 2 == 0 ? n / 2 * (n - 1) : (n - 1) / 2 * n;
}

/// 1 (one more bad datagram) if `sum` is not that of the `count` sequence numbers from `first` on, else 0.
constexpr std::uint64_t mismatch(std::uint64_t first, std::uint64_t count, std::uint64_t sum) noexcept {
  return sum == sum_below(first + count) - sum_below(first) ? 0 : 1;
}

}  // namespace bench
