// semaphore: limits how many tasks do something at a time.
#pragma once

#include "uring6/version.hpp"

#include <cstddef>
#include <mutex>
#include <string_view>

#include "uring6/detail/permit_queue.hpp"
#include "uring6/result.hpp"

// The destructors of the bases are protected, so no object is deleted through a base; GCC warns nevertheless, because
// the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6::inline v0 {

namespace detail {

class acquire_operation final : public permit_waiter {
 public:
  static constexpr std::string_view wait_name = "semaphore::acquire";

  explicit acquire_operation(permit_queue& in) noexcept : permit_waiter(in) {}
  result<void> await_resume() noexcept {
    if (const auto error = resume()) return fail(error);
    return {};
  }
};

}  // namespace detail

/// Permits that tasks take and give back, first come, first served, among tasks of one loop or of several. Any thread
/// may call all functions. The semaphore must outlive the waiting tasks.
class semaphore {
 public:
  explicit semaphore(std::size_t permits) noexcept : queue_(mutex_, permits) {}
  semaphore(const semaphore&) = delete;
  semaphore& operator=(const semaphore&) = delete;

  /// Waits for a permit and takes it. Errors: `errc::canceled`, which takes no permit; `errc::wrong_thread` outside
  /// of a running loop.
  [[nodiscard("co_await it")]] detail::acquire_operation acquire() noexcept {
    return detail::acquire_operation(queue_);
  }

  /// Takes a permit if one is free.
  [[nodiscard]] bool try_acquire() noexcept {
    const std::scoped_lock lock(mutex_);
    return queue_.take();
  }

  /// Gives back, or adds, `permits` permits.
  void release(std::size_t permits = 1) noexcept {
    const std::scoped_lock lock(mutex_);
    queue_.give(permits);
  }

  /// The number of free permits that no waiting task will get.
  std::size_t available() const noexcept {
    const std::scoped_lock lock(mutex_);
    return queue_.permits();
  }

 private:
  mutable std::mutex mutex_;
  detail::permit_queue queue_;
};

}  // namespace uring6::inline v0

#pragma GCC diagnostic pop
