// What carries the calls of other threads to a remote_target: one message for each target, made when the target opens,
// so that a call, which may come from a destructor or a std::stop_callback, needs no memory.
#pragma once

#include <atomic>

#include "runtime/loop/inbox.hpp"
#include "uring6/detail/waiting.hpp"

namespace uring6::detail {

/// Belongs to the loop, which uses it for one target after the other.
class remote_slot final : public inbox_message {
 public:
  explicit remote_slot(loop_core& loop) noexcept : loop_(loop) { owned = false; }

  /// Any thread. Calls that come before the loop has looked at the first one are one call.
  void post() noexcept;

  /// The loop's thread: calls the target, unless it has gone.
  void run() noexcept override;

  /// Is a call on its way?
  bool posted() const noexcept { return posted_.load(std::memory_order_relaxed); }

  // On the loop's thread only.
  remote_target* target = nullptr;
  remote_slot* next_free = nullptr;

 private:
  loop_core& loop_;
  std::atomic<bool> posted_{false};
};

}  // namespace uring6::detail
