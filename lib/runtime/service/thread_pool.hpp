// The threads that may block, for run_blocking: few, started when they are needed.
#pragma once

#include <array>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

#include "uring/fork_guard.hpp"
#include "uring6/run_blocking.hpp"

namespace uring6::detail {

class thread_pool {
 public:
  static constexpr std::size_t most_threads = 16;

  /// The process's own. The child of a fork, which has none of the threads, gets a new one.
  static thread_pool& shared();

  /// Any thread. An error if there is no thread and none can be started: EAGAIN, not_enough_memory. Else it needs no
  /// memory.
  std::error_code submit(std::shared_ptr<blocking_job> job);

 private:
  void work();
  std::error_code start_thread();
  std::shared_ptr<blocking_job> take_job() noexcept;

  std::mutex mutex_;
  std::condition_variable arrived_;
  // The first one that waits owns the next one, and so on.
  std::shared_ptr<blocking_job> jobs_;
  blocking_job* last_job_ = nullptr;
  std::size_t waiting_jobs_ = 0;
  // An array: a thread that has begun cannot be kept if a vector cannot grow.
  std::array<std::jthread, most_threads> threads_;
  std::size_t thread_count_ = 0;
  std::size_t idle_ = 0;
  fork_guard fork_guard_;
};

}  // namespace uring6::detail
