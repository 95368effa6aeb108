// What is asked of a ring, what it gave, and the user_data that a ring and its driver agree on.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

#include "uring6/loop_driver.hpp"

namespace uring6::inline v0::detail {

struct ring_options {
  unsigned submission_entries = 256;
  unsigned completion_entries = 4096;
  bool min_wait = false;                   // waits with a time to gather completions are wanted
  std::chrono::microseconds busy_poll{0};  // IORING_REGISTER_NAPI
  loop_driver driver = loop_driver::automatic;
};

/// What was asked of the kernel, what it gave, and why not more: for probe().
struct ring_features {
  loop_driver driver = loop_driver::io_uring;  // never `automatic`
  std::error_code io_uring_refused{};          // why `automatic` chose readiness
  std::string why_readiness{};                 // the same as a sentence
  std::uint32_t setup_flags = 0;
  std::uint32_t kernel_features = 0;
  unsigned submission_entries = 0;
  unsigned completion_entries = 0;
  bool registered_fd = false;
  bool messages = false;             // rings can be woken by messages (IORING_OP_MSG_RING)
  bool min_wait = false;             // asked for, and the kernel has it
  bool busy_poll = false;            // the same
  bool zero_copy_send = false;       // SENDMSG_ZC
  bool ordered_completions = false;  // as `completions_keep_order` says; false where it could not be tried
  bool counts_pieces = false;        // an enter may wait for several pieces of deferred work
  std::vector<std::string> refused;
};

/// user_data of entries without an operation. No slot of a ring has generation 0.
namespace without_operation {
inline constexpr std::uint64_t completed = 0;        // cancel requests, and messages that have arrived
inline constexpr std::uint64_t refused_message = 1;  // messages that the kernel refused
}  // namespace without_operation

}  // namespace uring6::inline v0::detail
