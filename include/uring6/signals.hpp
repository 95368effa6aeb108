// signals: the signals of the process, awaited.
#pragma once

#include "uring6/version.hpp"

#include <initializer_list>
#include <memory>
#include <span>
#include <utility>

#include "uring6/export.hpp"
#include "uring6/result.hpp"
#include "uring6/task.hpp"

namespace uring6 {

class event_loop;

namespace detail {
class signal_source;
}

/// A signal that has come. signalfd(2)
struct signal_event {
  int number = 0;     ///< SIGINT, SIGTERM, ...
  int code = 0;       ///< SI_USER, SI_QUEUE, SI_TIMER, ...: why it was sent.
  int sender = 0;     ///< The sender's process, where there is one.
  unsigned user = 0;  ///< The sender's user.
  int value = 0;      ///< What sigqueue(3) was given.
};

/// Takes signals away from their handlers and gives them to the coroutine that awaits `next`.
///
///     signals stops(loop, {SIGINT, SIGTERM});
///     const auto got = co_await stops.next();
///
/// Threads: the signals are blocked in the thread that makes this, and must be blocked in every other thread
/// of the process, too: the kernel gives a signal to any thread that does not block it, with its ordinary
/// effect. A new thread inherits the mask of the one that starts it, so make this before the other threads
/// (those of `loop_group` and `run_blocking` block all signals themselves). `next` belongs to the loop's
/// thread, and sees the signals sent to the process and to that thread.
///
/// At the end the signals that were not blocked before are unblocked, if that is on the thread that made
/// this; what is pending then has its ordinary effect: a second SIGTERM, for one, ends a program that is slow
/// to end.
///
/// The kernel keeps one pending signal of each number below SIGRTMIN, and queues those above: nothing is lost
/// that the kernel has not merged. A `next` that is stopped has taken no signal. Go: signal.Notify.
class URING6_EXPORT signals {
 public:
  /// Throws std::system_error with what `open` says.
  signals(event_loop& loop, std::initializer_list<int> numbers);

  /// Errors: invalid_argument for no signals; `errc::out_of_range` for a number that is none, and for those
  /// that cannot be awaited (SIGKILL, SIGSTOP, and SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP: faults of the
  /// thread itself); EMFILE.
  [[nodiscard]] static result<signals> open(event_loop& loop, std::span<const int> numbers);

  signals(signals&&) noexcept;
  signals& operator=(signals&& other) noexcept {
    std::swap(source_, other.source_);
    return *this;
  }
  ~signals();

  /// Waits for a signal. Each goes to one of those who wait. Errors: `errc::canceled`; `errc::wrong_thread`
  /// outside of the loop; `errc::closed` if this has been moved from.
  [[nodiscard("co_await it")]] task<result<signal_event>> next();

 private:
  explicit signals(std::shared_ptr<detail::signal_source> source) noexcept;

  std::shared_ptr<detail::signal_source> source_;
};

}  // namespace uring6
