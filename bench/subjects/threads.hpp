// Threads that stay, each on a processor of its own, and all run the same job at the same time.
#pragma once

#include <sched.h>

#include <barrier>
#include <cstddef>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

namespace bench {

class pinned_threads {
 public:
  explicit pinned_threads(std::size_t count) : gate_(static_cast<std::ptrdiff_t>(count) + 1) {
    for (std::size_t i = 0; i < count; ++i) threads_.emplace_back([this, i] { obey(i); });
  }
  pinned_threads(const pinned_threads&) = delete;
  pinned_threads& operator=(const pinned_threads&) = delete;
  ~pinned_threads() { run(nullptr); }

  /// Every thread calls `job` with its number, on the processor of that number; returns when all calls have returned.
  void run(std::function<void(std::size_t)> job) {
    job_ = std::move(job);
    gate_.arrive_and_wait();
    if (job_) gate_.arrive_and_wait();
  }

 private:
  void obey(std::size_t number) {
    cpu_set_t mine;
    CPU_ZERO(&mine);
    CPU_SET(number, &mine);
    ::sched_setaffinity(0, sizeof mine, &mine);
    for (;;) {
      gate_.arrive_and_wait();
      if (!job_) return;
      job_(number);
      gate_.arrive_and_wait();
    }
  }

  std::function<void(std::size_t)> job_;
  std::barrier<> gate_;
  std::vector<std::jthread> threads_;  // last, because the threads use the members above
};

}  // namespace bench
