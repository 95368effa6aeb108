// loop_driver: what executes a loop's operations.
#pragma once

#include "uring6/version.hpp"

#include <cstdint>

namespace uring6 {

/// What executes a loop's operations. Everything above behaves alike with each of them.
///
/// Differences of `readiness`: completions of different descriptors come in another order; a listener becomes
/// non-blocking (O_NONBLOCK), also for other owners of it; reading, writing or opening a regular file blocks the loop;
/// `submit` takes nop, read, write, recv, recvmsg, send, sendmsg, accept, connect, poll, shutdown, openat, statx, fsync
/// and close only (others end with invalid_argument); `packet_options::zero_copy_send` copies; `loop_options::min_wait`
/// and `busy_poll` are without effect.
enum class loop_driver : std::uint8_t {
  automatic,  ///< io_uring; readiness where the kernel or a sandbox refuses io_uring, or the kernel is too old for it.
  io_uring,   ///< The kernel. Linux 6.1.
  readiness,  ///< This process: it waits with epoll and makes non-blocking calls. Linux 5.11.
};

}  // namespace uring6
