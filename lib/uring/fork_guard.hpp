// Tells whether the calling process is a fork of the one that made an object: a ring belongs to the process that made
// it. Costs a load.
#pragma once

#include <atomic>
#include <system_error>

namespace uring6::inline v0::detail {

/// Calls a function in the child of each fork, from when it is registered on. For a variable of static storage
/// duration.
class fork_handler {
 public:
  explicit constexpr fork_handler(void (*in_child)()) noexcept : in_child_(in_child) {}
  fork_handler(const fork_handler&) = delete;
  fork_handler& operator=(const fork_handler&) = delete;

  /// Registers the function unless it is registered already. not_enough_memory: the next call tries again. Two threads
  /// at once may register it twice, so a second call of the function must do no harm. Any thread. pthread_atfork(3)
  std::error_code ensure() noexcept;

 private:
  void (*in_child_)();
  std::atomic<bool> registered_ = false;
};

/// The reason that a loop cannot be made, in front of the error's own text.
inline constexpr const char* fork_handler_refused = "uring6: a fork handler cannot be registered (pthread_atfork)";

/// Remembers the process in which it was made.
class fork_guard {
 public:
  fork_guard() noexcept : born_(forks_) {}

  /// Must succeed once in the process before a guard is made: later forks are counted from then on. not_enough_memory:
  /// the next call tries again.
  static std::error_code watch() noexcept;

  /// Was this process forked after the guard was made?
  bool forked() const noexcept { return born_ != forks_; }

 private:
  static unsigned forks_;  // forks between the start of the program and this process; one fork may count twice
  unsigned born_;
};

}  // namespace uring6::inline v0::detail
