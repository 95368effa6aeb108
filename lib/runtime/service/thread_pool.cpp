#include "runtime/service/thread_pool.hpp"

#include <atomic>
#include <cassert>
#include <new>

#include "runtime/service/quiet_thread.hpp"

namespace uring6::inline v0::detail {

// The pool is never destroyed, because its threads may block (getaddrinfo, for a server that does not answer), and the
// end of the program must not wait for them.
thread_pool& thread_pool::shared() {
  static constinit std::atomic<thread_pool*> current{nullptr};
  thread_pool* seen = current.load(std::memory_order_acquire);
  while (!seen || seen->fork_guard_.forked()) {
    auto made = std::make_unique<thread_pool>();
    if (current.compare_exchange_strong(seen, made.get(), std::memory_order_acq_rel)) return *made.release();
  }
  return *seen;
}

std::error_code thread_pool::submit(std::shared_ptr<blocking_job> job) {
  const std::scoped_lock lock(mutex_);
  assert(job && !job->next_ && "a job is in the queue once");
  assert((jobs_ == nullptr) == (waiting_jobs_ == 0) && (jobs_ == nullptr) == (last_job_ == nullptr));
  if (idle_ <= waiting_jobs_ && thread_count_ < max_threads) {
    const std::error_code error = start_thread();
    if (error && thread_count_ == 0) return error;
  }
  blocking_job* const last = job.get();
  (last_job_ ? last_job_->next_ : jobs_) = std::move(job);
  last_job_ = last;
  ++waiting_jobs_;
  arrived_.notify_one();
  return {};
}

std::error_code thread_pool::start_thread() {
  assert(thread_count_ < max_threads);
  try {
    threads_[thread_count_] = start_quiet_thread([this] { work(); });
    ++thread_count_;
  } catch (const std::system_error& error) {
    return error.code();
  } catch (const std::bad_alloc&) {
    return make_error_code(std::errc::not_enough_memory);
  }
  return {};
}

std::shared_ptr<blocking_job> thread_pool::take_job() noexcept {
  assert(jobs_ && waiting_jobs_ > 0);
  std::shared_ptr<blocking_job> job = std::move(jobs_);
  jobs_ = std::move(job->next_);
  if (!jobs_) last_job_ = nullptr;
  --waiting_jobs_;
  assert((jobs_ == nullptr) == (waiting_jobs_ == 0));
  return job;
}

void thread_pool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    arrived_.wait(lock, [this] { return jobs_ != nullptr; });
    assert(idle_ > 0 && idle_ <= thread_count_);
    --idle_;
    std::shared_ptr<blocking_job> job = take_job();
    lock.unlock();
    job->run_and_report();
    job.reset();
    lock.lock();
  }
}

}  // namespace uring6::inline v0::detail
