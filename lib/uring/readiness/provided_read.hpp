// Reads that take their buffers from a group: as many datagrams as there are with one system call.
#pragma once

#include "uring/readiness/buffer_groups.hpp"
#include "uring/readiness/request.hpp"
#include "uring/readiness/ring_queues.hpp"

namespace uring6::inline v0::detail {

/// Prepares a request whose entry has IOSQE_BUFFER_SELECT, before its first attempt.
void begin_provided_read(request& what) noexcept;

/// Reads into buffers of the group, and posts a completion for each datagram but those that end the read. At most
/// `most_datagrams` datagrams, so that other sockets get their turn. Counts its system calls.
attempt_result attempt_provided_read(request& what, buffer_group& buffers, ring_queues& completions,
                                     std::uint64_t& calls) noexcept;

}  // namespace uring6::inline v0::detail
