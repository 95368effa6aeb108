// Lets the kernel drop all datagrams for a socket for a time: between its creation and its connect the kernel would
// deliver datagrams of every sender.
#pragma once

#include <linux/filter.h>

#include <vector>

#include "uring6/result.hpp"

namespace uring6::inline v0 {

/// The filter that `drop_arrivals` found, which `admit_arrivals` puts back.
struct former_filter {
  bool replaced = false;             ///< True: the kernel drops every datagram. False: the socket's own filter stayed.
  std::vector<sock_filter> program;  ///< The socket's filter, classic BPF; none if empty.
};

/// From now on the kernel drops every datagram for this socket, and counts it (`drop_count`). A filter of the socket is
/// replaced, and `admit_arrivals` puts it back; a filter that cannot be replaced (SO_LOCK_FILTER) or read (eBPF) stays.
/// Errors: ENOMEM (net.core.optmem_max). May throw std::bad_alloc. SO_ATTACH_FILTER, SO_GET_FILTER
result<former_filter> drop_arrivals(int fd);

/// The same for good, in place of any filter of the socket; its queue stays. Errors: EPERM (SO_LOCK_FILTER), ENOMEM.
/// SO_ATTACH_FILTER
result<void> end_arrivals(int fd) noexcept;

/// Ends `drop_arrivals`. Before that it discards the datagrams in the socket's queue, which arrived before
/// `drop_arrivals`. Where the socket's own filter stayed, these are also datagrams of the peer since the connect.
/// Errors: the kernel's. SO_DETACH_FILTER
result<void> admit_arrivals(int fd, const former_filter& before) noexcept;

}  // namespace uring6::inline v0
