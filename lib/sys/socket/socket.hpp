// Sockets: opening, binding and connecting them, and the names of their two ends.
#pragma once

#include "sys/socket/file_descriptor.hpp"
#include "uring6/address.hpp"
#include "uring6/result.hpp"

namespace uring6 {

/// Opens a socket, close-on-exec. It blocks, as io_uring wants it: with O_NONBLOCK an operation would end
/// with EAGAIN where it should wait.
///
/// `family` AF_*, `type` SOCK_*, `protocol` IPPROTO_* or 0. Errors: the kernel's (EPERM for raw without
/// CAP_NET_RAW, EPROTONOSUPPORT, EMFILE, ...).
result<file_descriptor> open_socket(int family, int type, int protocol = 0) noexcept;

/// Makes a socket block that somebody else has opened. All its descriptors share that.
result<void> make_blocking(int fd) noexcept;

/// Binds an AF_INET6 socket. A zone that does not exist, or not for such an address, is as of `check_zone`; EADDRINUSE,
/// EADDRNOTAVAIL, EACCES and EINVAL (a link-local address without zone, bound already) as the kernel says them.
result<void> bind_socket(int fd, const endpoint& local) noexcept;

/// Connects an AF_INET6 datagram or raw socket, which does not block; a stream socket waits here for its
/// peer. A zone that does not exist, or not for such an address, is as of `check_zone`.
result<void> connect_socket(int fd, const endpoint& peer) noexcept;

/// Lets connections in: at most `backlog` wait to be accepted, and no more than net.core.somaxconn. EINVAL of a
/// socket that is no stream, EADDRINUSE. listen
result<void> listen_socket(int fd, int backlog) noexcept;

/// Whether an address stands for another host in each zone: link-local unicast, and groups of link-local or
/// interface-local scope. Of other addresses the kernel ignores the zone. RFC 4007
bool has_zones(const ip_address& address) noexcept;

/// Whether the zone of the address makes sense: there is an interface of that index in the namespace of the socket,
/// else `errc::unknown_zone`; and the address is of a kind that has zones, else `errc::needless_zone`. No zone is no
/// error. Asked before a bind or connect, because one that fails leaves the socket tied to the zone that it was given.
result<void> check_zone(int fd, const ip_address& address) noexcept;

/// The address and port that the socket is bound to; of an AF_INET socket v4-mapped. getsockname
result<endpoint> local_endpoint(int fd) noexcept;

/// The address and port that the socket is connected to; ENOTCONN if it is not. getpeername
result<endpoint> peer_endpoint(int fd) noexcept;

/// Whether a stream socket's connection is one to itself: a connect whose own port, which the kernel chose, is the one
/// that it goes to meets itself (RFC 9293, 3.5: simultaneous initiation).
bool is_connected_to_itself(int fd) noexcept;

/// Ends a connection without a trace: the next close resets it, and its port is free at once. SO_LINGER
void reset_on_close(int fd) noexcept;

/// How many datagrams the socket has thrown away since it was opened, modulo 2^32: its buffer was full, a filter
/// or a checksum refused them. Asked for when somebody wants to know: SO_RXQ_OVFL says it with every datagram, and
/// takes its time for that. SO_MEMINFO
result<std::uint32_t> drop_count(int fd) noexcept;

}  // namespace uring6
