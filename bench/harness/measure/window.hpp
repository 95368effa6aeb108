// What was counted in one window.
#pragma once

#include <cstdint>
#include <memory>

#include "harness/measure/histogram.hpp"

namespace bench {

/// Each datagram that was sent is accounted for: received, or dropped by the kernel and counted there.
struct loss_account {
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  std::uint64_t dropped = 0;
  std::uint64_t bad = 0;  // received, but different from what was sent

  bool explained() const noexcept { return bad == 0 && sent == received + dropped; }
  loss_account& operator+=(const loss_account& other) noexcept;
};

/// The figures of one window.
struct window {
  double value = 0;  // in the contest's unit
  loss_account loss{};
  std::uint64_t buffers = 0;
  std::uint64_t allocations = 0;
  std::uint64_t subject_cpu_ns = 0;
  std::uint64_t peer_cpu_ns = 0;           // of the other end
  std::shared_ptr<histogram> latencies{};  // may be beside `value`, which then is another figure
  std::shared_ptr<histogram> lateness{};   // of an open loop's requests: how late the harness itself sent them
};

}  // namespace bench
