// Which thread a ring belongs to, and whether that thread has ended: then the kernel has canceled its requests.
#pragma once

#include <atomic>
#include <memory>
#include <thread>

namespace uring6::inline v0::detail {

/// One thread makes the claim, once. Any thread may ask about it.
class thread_claim {
 public:
  /// Allocates the memory that `make` needs. The same thread calls `make`. False: there is no memory.
  bool prepare() noexcept;
  /// Makes the calling thread the owner. Precondition (asserted): `prepare` has succeeded, and the claim is not made
  /// yet.
  void make() noexcept;

  bool made() const noexcept { return owner() != std::thread::id(); }
  bool is_mine() const noexcept { return owner() == std::this_thread::get_id(); }

  /// Did another thread make the claim, and has that thread not ended?
  bool held_elsewhere() const noexcept { return made() && !is_mine() && !life_.expired(); }

 private:
  std::thread::id owner() const noexcept { return owner_.load(std::memory_order_acquire); }

  std::weak_ptr<const void> life_;  // expires when the owner ends: points to one of its thread-local variables
  std::atomic<std::thread::id> owner_{};
};

}  // namespace uring6::inline v0::detail
