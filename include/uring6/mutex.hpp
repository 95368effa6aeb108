// async_mutex: a mutex that suspends the task and not the loop.
#pragma once

#include "uring6/version.hpp"

#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

#include "uring6/detail/permit_queue.hpp"
#include "uring6/result.hpp"

// The destructors of the bases are protected, so no object is deleted through a base; GCC warns nevertheless, because
// the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6::inline v0 {

class async_mutex;

/// Holds an async_mutex until it is destroyed. Any thread may destroy it.
class [[nodiscard("unlocks at once")]] async_lock {
 public:
  async_lock(async_lock && other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
  async_lock& operator=(async_lock&& other) noexcept {
    std::swap(held_, other.held_);
    return *this;
  }
  ~async_lock() {
    unlock();
  }

  /// Unlocks before the destructor does. A second call does nothing.
  inline void unlock() noexcept;

 private:
  friend async_mutex;
  explicit async_lock(async_mutex & held) noexcept : held_(&held) {}

  async_mutex* held_;
};

/// A mutex that suspends the task instead of the thread, first come, first served, among tasks of one loop or of
/// several. The mutex must outlive the tasks that wait for it and those that hold it.
///
///     auto lock = co_await mutex.lock();
///     if (!lock) co_return;  // stopped
class async_mutex {
 public:
  async_mutex() noexcept : queue_(mutex_, 1) {}
  async_mutex(const async_mutex&) = delete;
  async_mutex& operator=(const async_mutex&) = delete;

  class lock_operation final : public detail::permit_waiter {
   public:
    static constexpr std::string_view wait_name = "async_mutex::lock";

    explicit lock_operation(async_mutex& of) noexcept : permit_waiter(of.queue_), of_(of) {}
    result<async_lock> await_resume() noexcept {
      if (const auto error = resume()) return fail(error);
      return async_lock(of_);
    }

   private:
    async_mutex& of_;
  };

  /// Waits until the mutex is free and locks it. Errors: `errc::canceled`, which locks nothing; `errc::wrong_thread`
  /// outside of a running loop.
  [[nodiscard("co_await it")]] lock_operation lock() noexcept { return lock_operation(*this); }

  /// Locks the mutex if it is free. Any thread.
  [[nodiscard]] std::optional<async_lock> try_lock() noexcept {
    const std::scoped_lock guard(mutex_);
    if (!queue_.take()) return std::nullopt;
    return async_lock(*this);
  }

 private:
  friend async_lock;

  void unlock() noexcept {
    const std::scoped_lock guard(mutex_);
    queue_.give(1);
  }

  std::mutex mutex_;
  detail::permit_queue queue_;
};

void async_lock::unlock() noexcept {
  if (held_) std::exchange(held_, nullptr)->unlock();
}

}  // namespace uring6::inline v0

#pragma GCC diagnostic pop
