// A sticky deadline of a socket: when it passes it ends the operations that wait, and all later ones until it is set
// anew.
#pragma once

#include <cassert>
#include <optional>

#include "runtime/loop/loop_core.hpp"

namespace uring6::inline v0::detail {

/// Calls `(owner.*when_due)()` once, when it passes.
template <class Owner, void (Owner::*when_due)() noexcept>
class sticky_deadline final : public timer_node {
 public:
  explicit sticky_deadline(Owner& owner) noexcept : owner_(owner) {}

  /// nullopt: no deadline. A time that is not after the loop's has passed already. Throws std::bad_alloc, and then
  /// keeps the old deadline.
  void set(loop_core& loop, std::optional<clock::time_point> when) { set(loop, when, loop.now()); }
  void set(loop_core& loop, std::optional<clock::time_point> when, clock::time_point now) {
    const bool due = when && *when <= now;
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
    assert(!passed_ && !armed() && "a deadline passes once, until it is set anew");
    passed_ = true;
    (owner_.*when_due)();
  }

  Owner& owner_;
  bool passed_ = false;
};

/// Sets both deadlines of a socket, with one look at the clock. Throws std::bad_alloc, and then keeps both old ones.
template <class Read, class Write>
void set_both(Read& read, Write& write, loop_core& loop, std::optional<clock::time_point> when) {
  const auto now = loop.now();
  if (when && *when > now) loop.timers().make_room(2);
  read.set(loop, when, now);
  write.set(loop, when, now);
}

}  // namespace uring6::inline v0::detail
