// A socket that hears nothing until it is told to: for the time between its creation and its connect, in which the
// kernel delivers datagrams of every sender.
#pragma once

#include "uring6/result.hpp"

namespace uring6 {

/// From now on the kernel drops what arrives at this socket, and counts it (`drop_count`). Replaces the socket's
/// filter. Errors: ENOMEM (net.core.optmem_max). SO_ATTACH_FILTER
result<void> drop_arrivals(int fd) noexcept;

/// Ends `drop_arrivals`, after it has thrown away what waits in the socket: that came before it. Errors: the kernel's.
/// SO_DETACH_FILTER
result<void> admit_arrivals(int fd) noexcept;

}  // namespace uring6
