// One attempt at an operation that needs no buffer of a group: a system call that does not block.
#pragma once

#include "uring/readiness/request.hpp"

namespace uring6::inline v0::detail {

/// Attempts the request's operation. `is_ready`: its descriptor has become ready since the last attempt.
attempt_result attempt_call(request& what, bool is_ready) noexcept;

/// The same for a descriptor that is always ready and cannot be waited for, a regular file: the call may block.
attempt_result attempt_blocking(const request& what) noexcept;

/// 0 if this process can execute the entry; else the negative errno with which the operation ends.
int check_entry(const ::io_uring_sqe& entry) noexcept;

/// Is the descriptor a socket without bounds between messages (SOCK_STREAM)?
bool is_stream(int fd) noexcept;

}  // namespace uring6::inline v0::detail
