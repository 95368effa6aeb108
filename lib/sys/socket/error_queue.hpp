// The queue of errors that a socket keeps once it is asked to (IPV6_RECVERR).
#pragma once

#include "uring6/error_report.hpp"
#include "uring6/result.hpp"

namespace uring6 {

/// Takes the first report out of the queue. False: there is none. MSG_ERRQUEUE
result<bool> read_error(int fd, error_report& report) noexcept;

}  // namespace uring6
