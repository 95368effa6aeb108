// The queue of error reports that the kernel keeps for a socket with IPV6_RECVERR.
#pragma once

#include "uring6/error_report.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

/// Takes the first report out of the queue. False: the queue is empty. MSG_ERRQUEUE
result<bool> read_error(int fd, error_report& report) noexcept;

}  // namespace uring6::inline v0
