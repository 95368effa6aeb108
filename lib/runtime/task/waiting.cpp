#include "uring6/detail/waiting.hpp"

#include <cassert>
#include <stdexcept>

#include "runtime/loop/loop_core.hpp"

namespace uring6::inline v0::detail {

void ready_node::throw_awaited_twice() {
  throw std::logic_error("uring6: awaited an operation that has been awaited already");
}

clock::time_point clock::now() noexcept {
  return running_loop ? running_loop->now() : std::chrono::steady_clock::now();
}

void make_ready(loop_core& loop, ready_node& node) noexcept {
  loop.make_ready(node);
}

bool queue_turn(ready_node& node) noexcept {
  loop_core* const here = current_loop();
  if (!here || here->ended()) return false;
  here->make_ready(node);
  return true;
}

void task_root::enter_list(loop_core& loop) noexcept {
  loop.add_root(*this);
}

void timer_node::arm(loop_core& loop, clock::time_point deadline) {
  disarm();
  deadline_ = deadline;
  loop.timers().insert(*this);
  loop_ = &loop;
}

void timer_node::disarm() noexcept {
  if (!loop_) return;
  loop_->timers().remove(*this);
  loop_ = nullptr;
}

void remote_target::open(loop_core& loop) {
  assert(!loop_ && "the first loop would call a target that it does not know");
  slot_ = &loop.enroll(*this);
  loop_ = &loop;
}

void remote_target::close() noexcept {
  if (!loop_) return;
  assert(slot_ && slot_->target == this);
  loop_->strike_off(*slot_);
  loop_ = nullptr;
}

void remote_target::call() noexcept {
  assert(slot_ && "a target that is not open has no way to its loop");
  if (current_loop() == loop_) {
    called();
  } else {
    slot_->post();
  }
}

}  // namespace uring6::inline v0::detail
