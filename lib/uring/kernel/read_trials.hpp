// Trials of how this kernel's multishot reads behave. Each trial takes some 100 microseconds, on a pair of Unix sockets
// and a ring of its own. Its result is empty if it cannot be made (no descriptor, no memory, no DEFER_TASKRUN). Any
// thread.
#pragma once

#include <optional>

namespace uring6::inline v0::detail {

/// Does a read stop after some messages, so that other sockets are read, too? Since Linux 6.8 it stops after 32
/// (MULTISHOT_MAX_RETRY); before, it continues as long as the socket has messages and the ring has buffers.
std::optional<bool> try_multishot_bound() noexcept;

/// Does a non-blocking read (MSG_DONTWAIT) of an empty socket leave the ring's buffers alone? On Linux 6.1 it takes one
/// out, and names it in the completion that reports EAGAIN (seen on 6.1.0-57; 6.12 and 6.18 leave it).
std::optional<bool> try_error_leaves_buffer() noexcept;

}  // namespace uring6::inline v0::detail
