// The machine's times for elementary operations, measured in the same run: every figure is read against these.
#pragma once

namespace bench {

struct calibration {
  double null_syscall_ns = 0;
  double enter_ns = 0;            ///< io_uring_enter without work; 0 without io_uring
  double clock_ns = 0;            ///< one reading of CLOCK_MONOTONIC
  double memcpy_cached = 0;       ///< GB/s, 256 KiB over and over
  double memcpy_memory = 0;       ///< GB/s, 256 MiB
  double lost_per_second_ns = 0;  ///< of a processor that only reads the clock: gaps of more than 10 us
  double longest_gap_ns = 0;
  double wake_ns = 0;  ///< from an eventfd's write to its blocked reader, on another processor if there is one
};

calibration calibrate();

}  // namespace bench
