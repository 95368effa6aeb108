// Sockets: opening, binding and connecting them, and the names of their two ends.
#pragma once

#include <cstdint>
#include <optional>

#include "sys/socket/file_descriptor.hpp"
#include "uring6/address.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

/// Opens a blocking socket, close-on-exec. With O_NONBLOCK an io_uring operation would end with EAGAIN instead of
/// waiting.
///
/// `family` AF_*, `type` SOCK_*, `protocol` IPPROTO_* or 0. Errors: the kernel's (EPERM for raw without
/// CAP_NET_RAW, EPROTONOSUPPORT, EMFILE, ...).
result<file_descriptor> open_socket(int family, int type, int protocol = 0) noexcept;

/// Makes a socket blocking that the program has opened. The mode is shared by all descriptors of the socket.
result<void> make_blocking(int fd) noexcept;

/// Binds an AF_INET6 socket. Errors: those of `check_zone`; the kernel's (EADDRINUSE, EADDRNOTAVAIL, EACCES; EINVAL for
/// a link-local address without zone, or a socket that is bound already).
result<void> bind_socket(int fd, const endpoint& local) noexcept;

/// Connects an AF_INET6 socket. A datagram or raw socket does not wait; a stream socket waits for its peer. Errors:
/// those of `check_zone`; the kernel's.
result<void> connect_socket(int fd, const endpoint& peer) noexcept;

/// Accepts connections: at most `backlog`, and at most net.core.somaxconn, wait for accept. Errors: EINVAL for a socket
/// that is no stream; EADDRINUSE. listen
result<void> listen_socket(int fd, int backlog) noexcept;

/// Does the address need a zone to be unique? True for link-local unicast, and for groups of link-local or
/// interface-local scope. The kernel ignores the zone of other addresses. RFC 4007
bool has_zones(const ip_address& address) noexcept;

/// Checks the zone of an address: an interface has that index in the socket's namespace, else `errc::unknown_zone`; and
/// the address is of a kind that has zones, else `errc::needless_zone`. An address without zone passes. Callers check
/// before a bind or connect, because a call that fails leaves the socket tied to its zone.
result<void> check_zone(int fd, const ip_address& address) noexcept;

/// The address and port to which the socket is bound; v4-mapped for an AF_INET socket. getsockname
result<endpoint> local_endpoint(int fd) noexcept;

/// The address and port that the socket is connected to; ENOTCONN if it is not. getpeername
result<endpoint> peer_endpoint(int fd) noexcept;

/// Is a stream socket connected to itself? That happens when the kernel chooses as the own port of a connect the port
/// to which the connect goes (RFC 9293, 3.5: simultaneous initiation).
bool is_connected_to_itself(int fd) noexcept;

/// The next close resets the connection (RST), so its port is free at once. SO_LINGER
void reset_on_close(int fd) noexcept;

/// The number that identifies the network namespace of a socket of any family, since Linux 5.14; nothing on an older
/// kernel. SO_NETNS_COOKIE
std::optional<std::uint64_t> network_namespace_of(int fd) noexcept;

/// How many datagrams the kernel has dropped for this socket since it was opened, modulo 2^32: the buffer was full, a
/// filter refused them, or their checksum was wrong. A system call when a caller asks: SO_RXQ_OVFL would report the
/// count with every datagram, and cost time for each. SO_MEMINFO
result<std::uint32_t> drop_count(int fd) noexcept;

}  // namespace uring6::inline v0
