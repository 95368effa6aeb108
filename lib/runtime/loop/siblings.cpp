#include "uring6/detail/siblings.hpp"

#include <cassert>
#include <stdexcept>
#include <utility>

#include "uring6/when_all.hpp"
#include "uring6/when_any.hpp"

namespace uring6::inline v0::detail {

void siblings::open(stop_root& inherited) {
  if (std::exchange(awaited_, true)) ready_node::throw_awaited_twice();
  loop_ = current_loop();
  if (!loop_) throw std::logic_error("uring6: tasks can be started only by a coroutine that a loop runs");
  assert(running_ == 0 && !waiting_);
  stop_.open(*loop_, inherited);
  running_ = 1;  // `wait` subtracts it: a child that ends before all are started is not taken for the last one
}

void siblings::start(const child& one, std::size_t index) {
  assert(loop_ && "open was not called");
  assert(one && !waiting_ && "siblings start before the coroutine waits for them");
  child_promise& promise = one.promise();
  promise.set_owner(*this, stop_.root());
  promise.index = index;
  children_.push_back(promise);
  ++running_;
  one.start();
}

bool siblings::wait(std::coroutine_handle<> waiting) {
  assert(running_ > 0 && waiting && "`open` has counted the coroutine that waits");
  waiting_ = waiting;
  return --running_ > 0;
}

// Resumes the waiting coroutine at once, not in the next turn: until it resumes, the results of its children have no
// owner, and an outer when_any that is decided in between would drop them.
std::coroutine_handle<> siblings::ended(child_promise& which) noexcept {
  static_cast<sibling_hook&>(which).unlink();
  one_ended(which);
  assert(running_ > 0);
  assert((waiting_ || running_ > 1) && "the last one ends before the coroutine waits");
  return --running_ == 0 ? waiting_ : std::noop_coroutine();
}

void siblings::tell_wait(wait_listing& to) const {
  children_.for_each([&to](const child_promise& each) { to.child(each); });
}

void all_siblings::one_ended(child_promise& which) noexcept {
  if (!which.exception || failure_) return;
  failure_ = std::move(which.exception);
  request_stop();
}

void any_siblings::one_ended(child_promise& which) noexcept {
  if (decided()) return;
  winner_ = which.index;
  failure_ = std::move(which.exception);
  request_stop();
}

}  // namespace uring6::inline v0::detail
