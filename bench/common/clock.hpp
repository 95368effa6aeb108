// The clock of every program of the benchmark.
#pragma once

#include <cstdint>
#include <ctime>

namespace bench {

/// Reads a clock, in nanoseconds.
inline std::uint64_t read_clock(clockid_t clock) noexcept {
  timespec t{};
  ::clock_gettime(clock, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(t.tv_nsec);
}

/// CLOCK_MONOTONIC: read without a system call, the same in every process.
inline std::uint64_t now_ns() noexcept {
  return read_clock(CLOCK_MONOTONIC);
}

}  // namespace bench
