// What the result of a sendmsg says about the datagrams: negative errno, or at least 0 for success.
#pragma once

#include <cerrno>

namespace uring6::inline v0::detail {

/// Did the kernel refuse the train as a train, so that its datagrams may go singly? EIO: the route's device has no
/// checksum offload (before Linux 6.11), or IPsec transforms the packets. EINVAL, EMSGSIZE: a segment is longer than
/// the path's MTU.
inline bool refuses_trains(int result) noexcept {
  return result == -EIO || result == -EINVAL || result == -EMSGSIZE;
}

/// Did a zero-copy send fail without sending anything, for a reason that a copying send may not have? The errors that
/// the network reports (ICMP) are not listed: the kernel reports each of them once, so the writer has to get them.
inline bool fails_without_copy(int result) noexcept {
  switch (-result) {
    case EAGAIN:  // no room in the socket's buffer: the copying send waits for room
    case ENOMEM:
    case ENOBUFS:   // RLIMIT_MEMLOCK, net.core.optmem_max
    case EMSGSIZE:  // the payload covers more pages than the kernel takes
    case EFAULT:    // memory that the kernel cannot pin
    case EINVAL:
    case EIO:
    case EACCES:
    case EOPNOTSUPP:
      return true;
    default:
      return false;
  }
}

/// May this errno be an ICMP error about an earlier datagram? The kernel keeps such an error in the socket, and the
/// next send returns it, also a send to another destination.
inline bool may_be_icmp_error(int result) noexcept {
  switch (-result) {
    case ECONNREFUSED:  // port unreachable
    case EACCES:        // administratively prohibited
    case EPROTO:        // parameter problem
    case ENOPROTOOPT:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENONET:
      return true;
    default:
      return false;
  }
}

/// Is this errno always an ICMP error about an earlier datagram? No check of the send itself returns these values.
inline bool is_always_icmp_error(int result) noexcept {
  return result == -ECONNREFUSED || result == -EPROTO || result == -ENOPROTOOPT;
}

}  // namespace uring6::inline v0::detail
