// event: something has happened, for all who wait for it.
#pragma once

#include "uring6/version.hpp"

#include <mutex>

#include "uring6/detail/line.hpp"
#include "uring6/result.hpp"

// Objects of these classes are never deleted by a base: the destructors of the bases are protected, and GCC warns
// because the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6 {

namespace detail {

class event_operation final : public line_waiter {
 public:
  explicit event_operation(line& in) noexcept : line_waiter(in) {}
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
  event() noexcept : line_(mutex_, 0, detail::line::kind::gate) {}
  event(const event&) = delete;
  event& operator=(const event&) = delete;

  /// Waits until the event is set. Errors: `errc::canceled`; `errc::wrong_thread` outside of a running loop.
  [[nodiscard("co_await it")]] detail::event_operation wait() noexcept { return detail::event_operation(line_); }

  /// Lets all pass who wait, and all who come, until `reset`.
  void set() noexcept {
    const std::scoped_lock lock(mutex_);
    if (line_.permits() == 0) line_.give(1);
  }

  /// Those who come from now on wait. Those who were let pass, pass.
  void reset() noexcept {
    const std::scoped_lock lock(mutex_);
    line_.withdraw_all();
  }

  bool is_set() const noexcept {
    const std::scoped_lock lock(mutex_);
    return line_.permits() > 0;
  }

 private:
  mutable std::mutex mutex_;
  detail::line line_;
};

}  // namespace uring6

#pragma GCC diagnostic pop
