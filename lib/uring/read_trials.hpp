// What multishot reads of this kernel do, tried out. Each trial takes some 100 microseconds on a pair of Unix sockets
// and a ring of its own, and says nothing where it cannot be made (no descriptor, no memory, no DEFER_TASKRUN). Any
// thread.
#pragma once

#include <optional>

namespace uring6::detail {

/// Does a read give its turn away after some messages, so that other sockets get theirs? Since Linux 6.8 after 32
/// (MULTISHOT_MAX_RETRY); before, it goes on as long as the socket has messages and the ring has buffers.
std::optional<bool> try_multishot_bound() noexcept;

/// Does a read that finds no message and may not wait (MSG_DONTWAIT) leave its buffer in the ring? On Linux 6.1 it
/// takes one out, and names it in the completion that reports EAGAIN (seen on 6.1.0-57; 6.12 and 6.18 leave it).
std::optional<bool> try_error_leaves_buffer() noexcept;

}  // namespace uring6::detail
