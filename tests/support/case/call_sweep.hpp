// System calls that fail in turn: the first one of a piece of work, then the second one, and so on, until it meets none
// that fails. For a child process: there is no way back.
#pragma once

#include <cstddef>
#include <string>

namespace uring6::test {

/// From now on the system calls by which sockets, rings and descriptors are made and set up are counted in the calling
/// thread and those that it starts. Throws std::system_error where seccomp does not permit it. seccomp_unotify(2)
void watch_set_up_calls();

/// The `nth` of them from now on fails, 1 for the next: with EMFILE if it makes a descriptor, else with ENOMEM.
void fail_call(std::size_t nth) noexcept;

/// None fails any more. Returns the name of the one that did, or nothing.
std::string failed_call() noexcept;

}  // namespace uring6::test
