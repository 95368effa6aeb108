#include "uring6/detail/line.hpp"

#include "runtime/loop/loop_core.hpp"
#include "uring6/result.hpp"

namespace uring6::detail {

bool line::take() noexcept {
  if (permits_ == 0) return false;
  if (kind_ == kind::counter) --permits_;
  return true;
}

void line::give(std::size_t permits) noexcept {
  permits_ += permits;
  while (!waiting_.empty() && take()) {
    line_waiter& next = waiting_.pop_front();
    next.state_ = line_waiter::state::served;
    static_cast<remote_waker&>(next).call();
  }
}

void line::close() noexcept {
  closed_ = true;
  while (!waiting_.empty()) {
    line_waiter& next = waiting_.pop_front();
    next.state_ = line_waiter::state::idle;
    next.error_ = errc::closed;
    static_cast<remote_waker&>(next).call();
  }
}

// Takes the mutex also when there is nothing to leave: whoever has called this waiter may still be in the call, with
// the mutex, and until he is out of it neither the line nor the loop may go. He reads nothing of the waiter once the
// call is posted, and the waiter resumes only after that: `resume` needs no mutex.
line_waiter::~line_waiter() {
  if (loop_) leave({});
}

bool line_waiter::suspend(std::coroutine_handle<> waiting, stop_root& stop) {
  begin_wait(waiting);
  loop_ = current_loop();
  if (!loop_) error_ = errc::wrong_thread;
  if (stop.stop_requested()) error_ = errc::canceled;
  if (error_) return false;
  stop.prepare(*loop_);
  {
    const std::scoped_lock lock(line_.mutex_);
    if (line_.take()) {
      if (loop_->spend()) return false;
      state_ = state::served;
      wake();
    } else if (line_.closed_) {
      error_ = errc::closed;
      return false;
    } else {
      remote_waker::open(*loop_);
      line_.waiting_.push_back(*this);
      state_ = state::waiting;
    }
  }
  listen(stop);
  return true;
}

/// Whether there was something to leave.
bool line_waiter::leave(std::error_code why) noexcept {
  const std::scoped_lock lock(line_.mutex_);
  const state before = std::exchange(state_, state::idle);
  if (before == state::idle) return false;
  error_ = why;
  waiting_hook::unlink();
  if (before == state::served && line_.kind_ == line::kind::counter) line_.give(1);
  return true;
}

void line_waiter::stop_requested() noexcept {
  if (leave(errc::canceled)) wake();
}

void line_waiter::wake() noexcept {
  if (std::exchange(woken_, true)) return;
  make_ready(*loop_, *this);
}

std::error_code line_waiter::resume() noexcept {
  forget();
  remote_waker::close();
  state_ = state::idle;
  return error_;
}

}  // namespace uring6::detail
