#include "uring6/timer.hpp"

#include <cassert>

#include "runtime/loop/loop_core.hpp"

namespace uring6::inline v0::detail {

bool sleep_wait::suspend(std::coroutine_handle<> sleeper, stop_root& stop, clock::time_point until) {
  begin_wait(sleeper);
  loop_ = current_loop();
  if (!loop_) error_ = errc::wrong_thread;
  if (stop.stop_requested()) error_ = errc::canceled;
  if (error_) return false;
  stop.prepare(*loop_);
  arm(*loop_, until);
  listen(stop);
  return true;
}

void sleep_wait::expired() noexcept {
  assert(!armed() && !error_ && "the timer was disarmed when the sleep was stopped");
  make_ready(*loop_, *this);
}

void sleep_wait::stop_requested() noexcept {
  if (!armed()) return;  // the timer has expired: the coroutine is in the ready queue
  disarm();
  error_ = errc::canceled;
  make_ready(*loop_, *this);
}

void sleep_wait::tell_wait(wait_listing& to) const {
  to.until(deadline());
  to.ready_if(ready_node::linked());
}

droppable_result<void> sleep_wait::outcome() noexcept {
  assert(!armed());
  forget();
  if (error_) return fail(error_);
  return {};
}

}  // namespace uring6::inline v0::detail
