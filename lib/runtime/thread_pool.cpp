#include "runtime/thread_pool.hpp"

#include <atomic>

#include "runtime/quiet_thread.hpp"

namespace uring6::detail {

// Never destroyed: the end of a program must not wait for a resolver that waits for a dead server.
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
  if (idle_ <= jobs_.size() && threads_.size() < most_threads) {
    try {
      threads_.push_back(start_quiet_thread([this] { work(); }));
    } catch (const std::system_error& error) {
      if (threads_.empty()) return error.code();
    }
  }
  jobs_.push_back(std::move(job));
  arrived_.notify_one();
  return {};
}

void thread_pool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    arrived_.wait(lock, [this] { return !jobs_.empty(); });
    --idle_;
    std::shared_ptr<blocking_job> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job->run_and_report();
    job.reset();
    lock.lock();
  }
}

}  // namespace uring6::detail
