// Limits of the machine that a test runs on, read from the kernel and not from uring6.
#pragma once

#include <optional>
#include <string>

namespace uring6::test {

/// Words that must be in the error of a refused loop of io_uring, because the kernel is known to refuse it; nothing if
/// such a loop has to work, or if only the attempt can show it (memory_may_be_locked).
std::optional<std::string> reason_against_loops();

/// Whether the calling thread may have any amount of memory locked: CAP_IPC_LOCK, or no RLIMIT_MEMLOCK.
bool memory_may_be_locked();

/// Whether the calling thread has CAP_SYS_ADMIN in the first user namespace.
bool is_administrator();

/// Whether the kernel opens IPv6 sockets; it does not if it was started with ipv6.disable=1.
bool has_ipv6();

/// Skips a case that needs IPv6.
void need_ipv6();

/// Skips a case about what only the kernel's ring does, where loops run by readiness: URING6_DRIVER says so, or the
/// machine refuses io_uring.
void need_io_uring();

}  // namespace uring6::test
