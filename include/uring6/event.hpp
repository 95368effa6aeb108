// event: something has happened, for all who wait for it.
#pragma once

#include "uring6/version.hpp"

#include <mutex>

#include "uring6/detail/permit_queue.hpp"
#include "uring6/result.hpp"

// Objects of these classes are never deleted by a base: the destructors of the bases are protected, and GCC warns
// because the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6 {

namespace detail {

class event_operation final : public permit_waiter {
 public:
  explicit event_operation(permit_queue& in) noexcept : permit_waiter(in) {}
  [[nodiscard]] result<void> await_resume() noexcept {
    if (const auto error = resume()) return fail(error);
    return {};
  }
};

}  // namespace detail

/// A gate that lets all pass while it is set. Between tasks of one loop or of several; all functions may be
/// called on any thread. It must outlive those who wait.
class event {
 public:
  event() noexcept : queue_(mutex_, 0, detail::permit_queue::kind::gate) {}
  event(const event&) = delete;
  event& operator=(const event&) = delete;

  /// Waits until the event is set. Errors: `errc::canceled`; `errc::wrong_thread` outside of a running loop.
  [[nodiscard("co_await it")]] detail::event_operation wait() noexcept { return detail::event_operation(queue_); }

  /// Lets all pass who wait, and all who come, until `reset`.
  void set() noexcept {
    const std::scoped_lock lock(mutex_);
    if (queue_.permits() == 0) queue_.give(1);
  }

  /// Those who come from now on wait. Those who were let pass, pass.
  void reset() noexcept {
    const std::scoped_lock lock(mutex_);
    queue_.withdraw_all();
  }

  bool is_set() const noexcept {
    const std::scoped_lock lock(mutex_);
    return queue_.permits() > 0;
  }

 private:
  mutable std::mutex mutex_;
  detail::permit_queue queue_;
};

}  // namespace uring6

#pragma GCC diagnostic pop
