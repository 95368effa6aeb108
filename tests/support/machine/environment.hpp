// What the machine that a test runs on forbids, asked of the kernel and not of uring6.
#pragma once

#include <optional>
#include <string>

namespace uring6::test {

/// Words that the refusal of a loop has to contain because the kernel is known to refuse one; nothing where a loop has
/// to work, or where only the attempt can tell (memory_may_be_locked).
std::optional<std::string> reason_against_loops();

/// The calling thread may have any amount of memory locked: CAP_IPC_LOCK, or no RLIMIT_MEMLOCK.
bool memory_may_be_locked();

/// The calling thread has CAP_SYS_ADMIN in the first user namespace.
bool is_administrator();

/// The kernel opens IPv6 sockets; it does not when it was started with ipv6.disable=1.
bool has_ipv6();

/// Skips a case that needs IPv6.
void need_ipv6();

}  // namespace uring6::test
