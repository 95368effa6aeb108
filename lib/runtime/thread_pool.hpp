// The threads that may block, for run_blocking: few, started when they are needed.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "uring/fork_guard.hpp"
#include "uring6/run_blocking.hpp"

namespace uring6::detail {

class thread_pool {
 public:
  static constexpr std::size_t most_threads = 16;

  /// The process's own. The child of a fork, which has none of the threads, gets a new one.
  static thread_pool& shared();

  /// Any thread. An error if there is no thread and none can be started.
  std::error_code submit(std::shared_ptr<blocking_job> job);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::shared_ptr<blocking_job>> jobs_;
  std::vector<std::jthread> threads_;
  std::size_t idle_ = 0;
  fork_guard fork_guard_;
};

}  // namespace uring6::detail
