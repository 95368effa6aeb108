// loop_driver: what executes a loop's operations.
#pragma once

#include "uring6/version.hpp"

#include <cstdint>

namespace uring6::inline v0 {

/// What executes a loop's operations. Everything above behaves alike with each of them.
///
/// Differences of `readiness`:
/// - Completions of different descriptors come in another order.
/// - A listener becomes non-blocking (O_NONBLOCK), also for other owners of it. A socket is non-blocking while a
///   connect begins, and a terminal during a read or write.
/// - A call that waits for a disk blocks the loop (read, write, openat, statx, fsync, close). An openat of a FIFO
///   blocks the loop until the FIFO has a peer.
/// - `submit` takes nop, read, write, recv, recvmsg, send, sendmsg, accept, connect, poll, shutdown, openat, statx,
///   fsync and close only. Others, and entries with a slot of the ring's own tables, end with invalid_argument.
/// - With MSG_WAITALL sendmsg and recvmsg may end with a part; send and recv go on, as the kernel's do.
/// - A connect to a Unix listener whose queue is full ends with EAGAIN.
/// - `packet_options::zero_copy_from` copies; `loop_options::min_wait` and `busy_poll` are without effect.
enum class loop_driver : std::uint8_t {
  automatic,  ///< io_uring; readiness where the kernel or a sandbox refuses io_uring, or the kernel is too old for it.
  io_uring,   ///< The kernel. Linux 6.1.
  readiness,  ///< This process: it waits with epoll and makes non-blocking calls. Linux 5.10.
};

}  // namespace uring6::inline v0
