// What the drivers share that execute a ring's operations in this process: the queues, the rings of buffers, and what
// only a ring of the kernel can do.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <new>
#include <string>
#include <system_error>

#include "uring/readiness/buffer_groups.hpp"
#include "uring/readiness/ring_queues.hpp"
#include "uring/ring_driver.hpp"
#include "uring/ring_options.hpp"

namespace uring6::inline v0::detail {

class process_driver : public ring_driver {
 public:
  void leave_to_parent() noexcept final {}
  int enable(ring_features&) noexcept final { return 0; }
  int enter_and_gather(std::chrono::nanoseconds timeout, std::chrono::microseconds) noexcept final {
    return enter(1, timeout);
  }
  int add_buffers(::io_uring_buf_reg& registration) noexcept final { return groups_.add(registration); }
  void remove_buffers(std::uint16_t group) noexcept final { groups_.remove(group); }
  int signal_by(int) noexcept final { return 0; }
  bool wake(int) noexcept final { return false; }
  void cancel_all() noexcept final {}  // operations go on inside of an enter only

 protected:
  explicit process_driver(::io_uring& ring) noexcept : ring_(ring) {}

  /// Makes the queues, with at least so many completions, and fills in what `features` says of them. As on a ring of
  /// the kernel with DEFER_TASKRUN, operations go on inside of an enter only. not_enough_memory; `reason` is then a
  /// sentence for a user.
  std::error_code create_queues(const ring_options& options, unsigned fewest_completions, ring_features& features,
                                std::string& reason) {
    features.submission_entries = std::bit_ceil(options.submission_entries);
    features.completion_entries =
        std::max({std::bit_ceil(options.completion_entries), features.submission_entries, fewest_completions});
    if (!queues_.create(ring_, features.submission_entries, features.completion_entries)) {
      reason = "not enough memory for the queues of the loop: lower submission_entries and completion_entries";
      return make_error_code(std::errc::not_enough_memory);
    }
    ring_.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    features.driver = loop_driver::readiness;
    return {};
  }

  /// The place of an operation: the low 32 bits of its user_data number it among those in flight, from 0 up. nullptr:
  /// there is no memory for it. The elements of `places` do not move.
  template <class Places>
  static auto place_in(Places& places, std::uint64_t user_data) noexcept -> decltype(&places[0]) {
    const auto index = static_cast<std::uint32_t>(user_data);
    try {
      while (places.size() <= index) places.emplace_back();
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
    return &places[index];
  }

  ::io_uring& ring_;
  ring_queues queues_;
  buffer_groups groups_;
  std::uint64_t calls_ = 0;  // system calls that executed operations
};

}  // namespace uring6::inline v0::detail
