// The message that carries calls of other threads to a remote_target. It is allocated when the target opens, because a
// call may come from a destructor or a stop_callback, which must not fail for lack of memory.
#pragma once

#include <atomic>

#include "runtime/loop/inbox.hpp"
#include "uring6/detail/waiting.hpp"

namespace uring6::inline v0::detail {

/// The loop owns the slot, and reuses it for another target after the first one has closed.
class remote_slot final : public inbox_message {
 public:
  explicit remote_slot(loop_core& loop) noexcept : loop_(loop) { owned = false; }

  /// Calls the target on the loop's thread. Any thread. Calls before the loop has run the first one count as one.
  void post() noexcept;

  /// Calls the target, unless it has closed. The loop's thread.
  void run() noexcept override;

  /// Is a call in the inbox?
  bool posted() const noexcept { return posted_.load(std::memory_order_relaxed); }

  // Used by the loop's thread only.
  remote_target* target = nullptr;
  remote_slot* next_free = nullptr;

 private:
  loop_core& loop_;
  std::atomic<bool> posted_{false};
};

}  // namespace uring6::inline v0::detail
