// The threads on which run_blocking makes its calls: at most 16 for the process, each started when a job finds no idle
// one.
#pragma once

#include <array>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

#include "uring/fork_guard.hpp"
#include "uring6/run_blocking.hpp"

namespace uring6::inline v0::detail {

class thread_pool {
 public:
  /// Threads of the process. Blocking calls wait for disks and name servers, not for processors: so the limit does
  /// not follow the number of processors.
  static constexpr std::size_t max_threads = 16;

  /// The pool of the process. In the child of a fork, which has none of the threads, a new pool.
  static thread_pool& shared();

  /// Queues a job. Any thread. Errors, only when the pool has no thread and cannot start one: EAGAIN,
  /// not_enough_memory.
  std::error_code submit(std::shared_ptr<blocking_job> job);

 private:
  void work();
  std::error_code start_thread();
  std::shared_ptr<blocking_job> take_job() noexcept;

  std::mutex mutex_;
  std::condition_variable arrived_;
  // A list of the queued jobs: each owns the next one.
  std::shared_ptr<blocking_job> jobs_;
  blocking_job* last_job_ = nullptr;
  std::size_t waiting_jobs_ = 0;
  // An array, because a vector may fail to grow after the thread has started.
  std::array<std::jthread, max_threads> threads_;
  std::size_t thread_count_ = 0;
  std::size_t idle_ = 0;
  fork_guard fork_guard_;
};

}  // namespace uring6::inline v0::detail
