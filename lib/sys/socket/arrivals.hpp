// A socket that hears nothing until it is told to: for the time between its creation and its connect, in which the
// kernel delivers datagrams of every sender.
#pragma once

#include <linux/filter.h>

#include <vector>

#include "uring6/result.hpp"

namespace uring6 {

/// What `drop_arrivals` found, for `admit_arrivals` to put back.
struct former_filter {
  bool replaced = false;             ///< The kernel drops what arrives; otherwise the socket's own filter stayed.
  std::vector<sock_filter> program;  ///< The socket's filter, classic BPF; none if empty.
};

/// From now on the kernel drops what arrives at this socket, and counts it (`drop_count`). A filter that the socket has
/// is taken off, and put back by `admit_arrivals`; one that cannot be (SO_LOCK_FILTER, or eBPF, which the kernel does
/// not give out) stays. Errors: ENOMEM (net.core.optmem_max). May throw std::bad_alloc. SO_ATTACH_FILTER, SO_GET_FILTER
result<former_filter> drop_arrivals(int fd);

/// Ends `drop_arrivals`, after it has thrown away what waits in the socket: that came before it. Where the socket's own
/// filter stayed, that is also what the peer has sent since the connect. Errors: the kernel's. SO_DETACH_FILTER
result<void> admit_arrivals(int fd, const former_filter& before) noexcept;

}  // namespace uring6
