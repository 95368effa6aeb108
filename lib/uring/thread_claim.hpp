// Which thread a ring belongs to, and whether that thread is still there: the kernel ends with it what it began.
#pragma once

#include <atomic>
#include <memory>
#include <thread>

namespace uring6::detail {

/// Made once, by one thread; any thread may ask.
class thread_claim {
 public:
  /// Takes the memory that `make` needs, on the same thread. False: there is none.
  bool prepare() noexcept;
  void make() noexcept;

  bool made() const noexcept { return owner() != std::thread::id(); }
  bool is_mine() const noexcept { return owner() == std::this_thread::get_id(); }

  /// Has another thread made it, which has not ended?
  bool held_elsewhere() const noexcept { return made() && !is_mine() && !life_.expired(); }

 private:
  std::thread::id owner() const noexcept { return owner_.load(std::memory_order_acquire); }

  std::weak_ptr<const void> life_;  // of something that goes with the thread
  std::atomic<std::thread::id> owner_{};
};

}  // namespace uring6::detail
