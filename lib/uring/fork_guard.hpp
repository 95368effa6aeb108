// Tells a process from the one it was forked from, for the price of a load: a ring stays with its process.
#pragma once

namespace uring6::detail {

/// Remembers the process that it was made in.
class fork_guard {
 public:
  fork_guard() noexcept;

  /// Is this the child of a fork?
  bool forked() const noexcept { return born_ != forks_; }

 private:
  static unsigned forks_;  // between the start of the program and this process
  unsigned born_;
};

}  // namespace uring6::detail
