// What the kernel means by the way a sendmsg ends.
#pragma once

#include <cerrno>

namespace uring6::detail {

// EIO: no checksum offload (before 6.11), IPsec. EINVAL, EMSGSIZE: a segment longer than the path takes whole.
inline bool refuses_trains(int result) noexcept {
  return result == -EIO || result == -EINVAL || result == -EMSGSIZE;
}

// Nothing was sent, and a copy may go. Errors that the network has reported are not among them: they are told once.
inline bool fails_without_copy(int result) noexcept {
  switch (-result) {
    case EAGAIN:  // waits for room, as a copy
    case ENOMEM:
    case ENOBUFS:   // RLIMIT_MEMLOCK, net.core.optmem_max
    case EMSGSIZE:  // more pages than the kernel takes
    case EFAULT:    // memory that cannot be pinned
    case EINVAL:
    case EIO:
    case EACCES:
    case EOPNOTSUPP:
      return true;
    default:
      return false;
  }
}

// An answer of the network to an earlier datagram, by which a connected socket refuses the next one, whatever that is.
inline bool may_be_icmp_error(int result) noexcept {
  switch (-result) {
    case ECONNREFUSED:  // port unreachable
    case EACCES:        // prohibited
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

// Of these a send is never the cause: the network's answer to an earlier datagram pends in the socket.
inline bool is_always_icmp_error(int result) noexcept {
  return result == -ECONNREFUSED || result == -EPROTO || result == -ENOPROTOOPT;
}

}  // namespace uring6::detail
