// System calls that fail in turn: the first one of a piece of work, then the second one, and so on, until the work
// makes no further one. For a child process: the filter cannot be removed.
#pragma once

#include <cstddef>
#include <string>

namespace uring6::test {

/// Counts, from now on, the system calls that make and set up sockets, rings and descriptors, in the calling thread and
/// in threads that it starts. Throws std::system_error if seccomp does not permit it. seccomp_unotify(2)
void watch_set_up_calls();

/// Makes the `nth` of them from now on fail, 1 for the next: with EMFILE if it makes a descriptor, else with ENOMEM.
void fail_call(std::size_t nth) noexcept;

/// Ends that. Returns the name of the call that failed, or an empty text.
std::string failed_call() noexcept;

}  // namespace uring6::test
