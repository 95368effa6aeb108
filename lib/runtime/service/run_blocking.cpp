#include "uring6/run_blocking.hpp"

#include <cassert>

#include "runtime/loop/loop_core.hpp"
#include "runtime/service/thread_pool.hpp"

namespace uring6::inline v0::detail {

blocking_job::~blocking_job() = default;

void blocking_job::run_and_report() noexcept {
  {
    const std::scoped_lock lock(mutex_);
    if (!waiter_) return;  // the waiter left the queue before its job began
    assert(state_ != state::running && state_ != state::done && "a job runs once");
    state_ = state::running;
  }
  run();
  const std::scoped_lock lock(mutex_);
  assert(state_ == state::running);
  state_ = state::done;
  if (waiter_) waiter_->call();
}

blocking_wait::~blocking_wait() {
  if (job_) leave();
  end_call();
}

bool blocking_wait::suspend(std::coroutine_handle<> waiting, stop_root& stop) {
  begin_wait(waiting);
  loop_ = current_loop();
  if (!loop_) error_ = errc::wrong_thread;
  if (stop.stop_requested()) error_ = errc::canceled;
  if (error_) return false;
  thread_pool& threads = thread_pool::shared();
  stop.prepare(*loop_);
  remote_waker::open(*loop_);
  assert(!job_->waiter_ && job_->state_ == blocking_job::state::waiting && "a job has one waiter, and runs once");
  job_->waiter_ = this;
  if ((error_ = threads.submit(job_))) {
    leave();
    return false;
  }
  loop_->begin_blocking_call();
  counted_ = true;
  listen(stop);
  return true;
}

/// Leaves a job that is queued or running. False: the job is done, or was left before.
bool blocking_wait::leave() noexcept {
  const std::scoped_lock lock(job_->mutex_);
  if (!std::exchange(job_->waiter_, nullptr) || job_->state_ == blocking_job::state::done) return false;
  job_->left();
  return true;
}

void blocking_wait::give_up() noexcept {
  leave();
  end_call();
}

void blocking_wait::end_call() noexcept {
  if (std::exchange(counted_, false)) loop_->end_blocking_call();
}

void blocking_wait::stop_requested() noexcept {
  if (woken_ || !leave()) return;
  error_ = errc::canceled;
  wake();
}

void blocking_wait::wake() noexcept {
  assert(loop_ && "a wait that has not begun is woken by no job");
  if (std::exchange(woken_, true)) return;
  make_ready(*loop_, *this);
}

void blocking_wait::tell_wait(wait_listing& to) const {
  to.ready_if(ready_node::linked());
}

std::error_code blocking_wait::finish() noexcept {
  forget();
  assert(job_ && "the operation was moved from");
  {
    // The pool's thread may still be inside `call`, with the mutex locked, and uses the loop there: wait until it has
    // left.
    const std::scoped_lock lock(job_->mutex_);
    job_->waiter_ = nullptr;
  }
  remote_waker::close();
  end_call();
  return error_;
}

}  // namespace uring6::inline v0::detail
