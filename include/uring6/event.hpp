// event: tells waiting tasks that something has happened.
#pragma once

#include "uring6/version.hpp"

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

class event_operation final : public permit_waiter {
 public:
  static constexpr std::string_view wait_name = "event::wait";

  explicit event_operation(permit_queue& in) noexcept : permit_waiter(in) {}
  result<void> await_resume() noexcept {
    if (const auto error = resume()) return fail(error);
    return {};
  }
};

}  // namespace detail

/// A gate that lets tasks pass while it is set, among tasks of one loop or of several. Any thread may call all
/// functions. The event must outlive the waiting tasks.
class event {
 public:
  event() noexcept : queue_(mutex_, 0, detail::permit_queue::kind::gate) {}
  event(const event&) = delete;
  event& operator=(const event&) = delete;

  /// Waits until the event is set. Errors: `errc::canceled`; `errc::wrong_thread` outside of a running loop.
  [[nodiscard("co_await it")]] detail::event_operation wait() noexcept { return detail::event_operation(queue_); }

  /// Lets all waiting tasks pass, and all that come later, until `reset`.
  void set() noexcept {
    const std::scoped_lock lock(mutex_);
    if (queue_.permits() == 0) queue_.give(1);
  }

  /// Tasks that come from now on wait. Tasks that `set` has let pass still pass.
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

}  // namespace uring6::inline v0

#pragma GCC diagnostic pop
