#include "uring6/detail/permit_queue.hpp"

#include <cassert>

#include "runtime/loop/loop_core.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0::detail {

bool permit_queue::take() noexcept {
  if (permits_ == 0) return false;
  if (kind_ == kind::counter) --permits_;
  return true;
}

void permit_queue::give(std::size_t permits) noexcept {
  permits_ += permits;
  while (!waiting_.empty() && take()) {
    permit_waiter& next = waiting_.pop_front();
    assert(next.state_ == permit_waiter::state::waiting);
    next.state_ = permit_waiter::state::served;
    static_cast<remote_waker&>(next).call();
  }
}

void permit_queue::close() noexcept {
  closed_ = true;
  while (!waiting_.empty()) {
    permit_waiter& next = waiting_.pop_front();
    assert(next.state_ == permit_waiter::state::waiting);
    next.state_ = permit_waiter::state::idle;
    next.error_ = errc::closed;
    static_cast<remote_waker&>(next).call();
  }
}

// Locks the mutex even when this waiter is not in the queue: the thread that gave it its permit may still be inside
// `call`, which it makes with the mutex locked, and both the queue and the loop must live until that call returns. The
// thread reads nothing of the waiter after it has posted the call, and the waiter resumes after that: so `resume` needs
// no mutex.
permit_waiter::~permit_waiter() {
  if (loop_) leave({});
}

bool permit_waiter::suspend(std::coroutine_handle<> waiting, stop_root& stop) {
  begin_wait(waiting);
  assert(state_ == state::idle && !woken_);
  loop_ = current_loop();
  if (!loop_) error_ = errc::wrong_thread;
  if (stop.stop_requested()) error_ = errc::canceled;
  if (error_) return false;
  stop.prepare(*loop_);
  {
    const std::scoped_lock lock(queue_.mutex_);
    if (queue_.take()) {
      if (loop_->spend()) return false;
      state_ = state::served;
      wake();
    } else if (queue_.closed_) {
      error_ = errc::closed;
      return false;
    } else {
      remote_waker::open(*loop_);
      queue_.waiting_.push_back(*this);
      state_ = state::waiting;
    }
  }
  listen(stop);
  return true;
}

/// Leaves the queue, or gives a permit back that was not used. False: neither was there.
bool permit_waiter::leave(std::error_code why) noexcept {
  const std::scoped_lock lock(queue_.mutex_);
  const state before = std::exchange(state_, state::idle);
  if (before == state::idle) return false;
  error_ = why;
  assert((before == state::waiting) == waiting_hook::linked());
  waiting_hook::unlink();
  if (before == state::served && queue_.kind_ == permit_queue::kind::counter) queue_.give(1);
  return true;
}

void permit_waiter::stop_requested() noexcept {
  if (leave(errc::canceled)) wake();
}

void permit_waiter::wake() noexcept {
  assert(loop_ && state_ != state::waiting && "a waiter leaves the queue before it is woken");
  if (std::exchange(woken_, true)) return;
  make_ready(*loop_, *this);
}

void permit_waiter::tell_wait(wait_listing& to) const {
  to.ready_if(ready_node::linked());
}

std::error_code permit_waiter::resume() noexcept {
  assert(!waiting_hook::linked() && state_ != state::waiting && "resumed while the queue has the waiter");
  forget();
  remote_waker::close();
  state_ = state::idle;
  return error_;
}

}  // namespace uring6::inline v0::detail
