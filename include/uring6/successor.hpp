// successor: starts the program that is to replace this one.
#pragma once

#include "uring6/version.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "uring6/export.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

/// A process that was started to take the sockets of this one over, and a channel to it for `handover`.
///
///     auto next = or_throw(successor::start(words));   // words[0]: the path of the program
///     handover all(next.channel());
///
/// In the new process `listen_inherited` returns the channel under the name "handover", for `take_over`. So a service
/// has one way to begin: it takes what a manager has opened, or what its predecessor has.
///
/// The destructor closes the channels; the process goes on, and sees its predecessor end.
class URING6_EXPORT successor {
 public:
  /// Starts `words[0]`, a path that execve(2) takes, with the arguments `words`, and with this process's environment,
  /// user, working directory and standard streams. All descriptors stay open in it that are not close-on-exec; those of
  /// uring6 are. No signal is blocked in it. It inherits the CPUs of the calling thread: do not call this on a pinned
  /// thread of a `loop_group`. Blocks until the program has begun, about a millisecond.
  ///
  /// `channels`, 1 to 1,024: one for each loop that has sockets to hand over.
  ///
  /// Errors: `std::errc::invalid_argument` without words, `errc::out_of_range` for `channels`; those of execve(2):
  /// ENOENT, EACCES, ENOEXEC; EMFILE, EAGAIN (RLIMIT_NPROC), ENOMEM. Throws std::bad_alloc.
  static result<successor> start(std::span<const std::string> words, std::size_t channels = 1);

  successor(successor&& other) noexcept;
  successor& operator=(successor&& other) noexcept;
  ~successor();

  /// Its process.
  int process() const noexcept { return process_; }
  /// A channel to it, which this object owns. Precondition (asserted): `which` is below the number of channels.
  int channel(std::size_t which = 0) const noexcept;

  /// Kills the process (SIGKILL) and waits for its end. For one that has not taken over. Does nothing at a second call.
  void end() noexcept;

 private:
  successor() = default;

  int process_ = -1;
  std::vector<int> channels_;
};

}  // namespace uring6::inline v0
