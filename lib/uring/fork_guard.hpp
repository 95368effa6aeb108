// Tells whether the calling process is a fork of the one that made an object: a ring belongs to the process that made
// it. Costs a load.
#pragma once

namespace uring6::detail {

/// Remembers the process in which it was made.
class fork_guard {
 public:
  fork_guard() noexcept;

  /// Was this process forked after the guard was made?
  bool forked() const noexcept { return born_ != forks_; }

 private:
  static unsigned forks_;  // how many forks lie between the start of the program and this process
  unsigned born_;
};

}  // namespace uring6::detail
