// signals: awaits the signals of the process.
#pragma once

#include "uring6/version.hpp"

#include <initializer_list>
#include <memory>
#include <span>
#include <utility>

#include "uring6/detail/hash.hpp"
#include "uring6/export.hpp"
#include "uring6/result.hpp"
#include "uring6/task.hpp"

namespace uring6::inline v0 {

class event_loop;

namespace detail {
class signal_source;
}

/// A signal that has arrived. signalfd(2)
struct signal_event {
  int number = 0;     ///< SIGINT, SIGTERM, ...
  int code = 0;       ///< Why it was sent: SI_USER, SI_QUEUE, SI_TIMER, ...
  int sender = 0;     ///< The process that sent it; 0 if there is none.
  unsigned user = 0;  ///< The user that sent it.
  int value = 0;      ///< The value given to sigqueue(3).

  friend bool operator==(const signal_event&, const signal_event&) noexcept = default;
};

/// Takes signals away from their handlers and gives them to the coroutine that awaits `next`. Go: signal.Notify.
///
///     signals stops(loop, {SIGINT, SIGTERM});
///     const auto got = co_await stops.next();
///
/// Threads: the constructor blocks the signals in its own thread. Every other thread of the process must block them,
/// too, because the kernel gives a signal to any thread that does not block it, with its ordinary effect. A new
/// thread inherits its creator's mask, so make this object before the other threads. The threads of `loop_group` and
/// `run_blocking` block all signals themselves. `next` belongs to the loop's thread, and sees the signals sent to the
/// process and to that thread.
///
/// The destructor, on the thread of the constructor, unblocks the signals that were not blocked before. A signal that
/// is pending then has its ordinary effect: a second SIGTERM ends a program that ends slowly.
///
/// The kernel keeps one pending signal of each number below SIGRTMIN, and queues those from SIGRTMIN on. No signal is
/// lost that the kernel has not merged. A `next` that is stopped has taken no signal.
class URING6_EXPORT signals {
 public:
  /// Throws std::system_error with an error of `open`.
  signals(event_loop& loop, std::initializer_list<int> numbers);

  /// Errors: invalid_argument without numbers; `errc::out_of_range` for a number that is no signal and for signals
  /// that cannot be awaited (SIGKILL, SIGSTOP, and the faults of a thread itself: SIGSEGV, SIGBUS, SIGFPE, SIGILL,
  /// SIGTRAP); EMFILE.
  static result<signals> open(event_loop& loop, std::span<const int> numbers);

  signals(signals&&) noexcept;
  signals& operator=(signals&& other) noexcept {
    std::swap(source_, other.source_);
    return *this;
  }
  ~signals();

  /// Waits for a signal. Each signal goes to one waiting coroutine. Errors: `errc::canceled`; `errc::wrong_thread`
  /// outside of the loop; `errc::closed` on a moved-from object.
  [[nodiscard("co_await it")]] task<result<signal_event>> next();

 private:
  URING6_HIDDEN static result<signals> open_numbers(event_loop& loop, std::span<const int> numbers);
  URING6_HIDDEN explicit signals(std::shared_ptr<detail::signal_source> source) noexcept;

  std::shared_ptr<detail::signal_source> source_;
};

}  // namespace uring6::inline v0

template <>
struct std::hash<uring6::signal_event> {
  std::size_t operator()(const uring6::signal_event& of) const noexcept {
    return uring6::detail::hash_of(of.number, of.code, of.sender, of.user, of.value);
  }
};
