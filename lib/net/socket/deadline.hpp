// A sticky deadline of a socket: it ends what waits when it passes, and what comes after, until it is set anew.
#pragma once

#include <optional>

#include "runtime/loop/loop_core.hpp"

namespace uring6::detail {

/// Calls `(owner.*when_due)()` once, when it passes.
template <class Owner, void (Owner::*when_due)() noexcept>
class sticky_deadline final : public timer_node {
 public:
  explicit sticky_deadline(Owner& owner) noexcept : owner_(owner) {}

  /// None: no deadline. One that has passed is due at once. Throws std::bad_alloc: then it is as it was.
  void set(loop_core& loop, std::optional<clock::time_point> when) {
    const bool due = when && *when <= clock::now();
    if (when && !due && !armed()) loop.timers().make_room(1);
    disarm();
    passed_ = false;
    if (due) {
      expired();
    } else if (when) {
      arm(loop, *when);
    }
  }
  bool passed() const noexcept { return passed_; }

 private:
  void expired() noexcept override {
    passed_ = true;
    (owner_.*when_due)();
  }

  Owner& owner_;
  bool passed_ = false;
};

}  // namespace uring6::detail
