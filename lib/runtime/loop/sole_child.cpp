#include "uring6/detail/sole_child.hpp"

#include <algorithm>
#include <cassert>

#include "uring6/shield.hpp"
#include "uring6/with_stop.hpp"
#include "uring6/with_timeout.hpp"

namespace uring6::inline v0::detail {

void timed_child::one_ended(child_promise& which) noexcept {
  disarm();
  keep_exception(which);
}

void timed_child::expired() noexcept {
  assert(!timed_out_);
  if (stop_requested()) return;  // a stop was requested before the deadline: the task ends because of the stop
  timed_out_ = true;
  request_stop();
}

void stoppable_child::watch(stop_root&) {
  if (!token_.stop_possible()) return;
  if (token_.stop_requested()) return request_stop();
  assert(!callback_ && "the token is followed once");
  remote_target::open(loop());
  callback_.emplace(token_, forward{this});
}

void stoppable_child::leave_token() noexcept {
  callback_.reset();  // waits until a callback that runs on another thread has returned
  remote_target::close();
}

void stoppable_child::one_ended(child_promise& which) noexcept {
  leave_token();
  keep_exception(which);
}

// The timer takes its place in the heap here, because the stop may come when there is no memory for it.
void shielded_child::open(stop_root& inherited) {
  siblings::open(never_stopped);
  inherited.prepare(loop());
  if (limit_ < clock::duration::max() || deadline_ < clock::time_point::max()) arm(loop(), clock::time_point::max());
}

void shielded_child::stop_requested() noexcept {
  assert(!siblings::stop_requested() && "the child hears of a stop once");
  const clock::time_point due = std::min(deadline_, deadline_after(limit_));
  if (due <= clock::now()) return siblings::request_stop();
  if (due == clock::time_point::max()) return;
  assert(armed() && "`open` has taken a place in the heap, which this call takes again");
  arm(loop(), due);
}

void shielded_child::one_ended(child_promise& which) noexcept {
  disarm();
  forget();
  keep_exception(which);
}

}  // namespace uring6::inline v0::detail
