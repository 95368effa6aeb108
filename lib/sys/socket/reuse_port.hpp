// How a UDP socket leaves the group of sockets that share its port (SO_REUSEPORT) and keeps the datagrams in its queue.
// A close would lose them. docs/architecture.md, "A datagram socket that stops receiving".
#pragma once

#include <cstdint>

#include "uring6/address.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

/// The kernel delivers to the other sockets of the port from now on, except for datagrams that it is delivering on
/// another CPU at this moment (`wait_for_deliveries`). The datagrams in the socket's queue stay. The socket is
/// connected afterwards, to itself: it can send to any destination, but from a wildcard address only with the source
/// address that a control message names. Precondition: a UDP socket that is bound and not connected.
///
/// Errors: those of `source_address_to` for the loopback address, and nothing has changed (a network namespace in which
/// lo is down); the kernel's. SO_BINDTODEVICE, connect
result<void> leave_reuse_port_group(int fd) noexcept;

/// Blocks until the kernel has queued every datagram for which it chose the socket before the call: it chooses and
/// queues within one read-side critical section of RCU. 10 to 60 ms. False if the kernel does not offer that (CPUs in
/// nohz_full, a filter of system calls). MEMBARRIER_CMD_GLOBAL
bool wait_for_deliveries() noexcept;

/// The address from which the kernel sends to `destination` when a program names none. `interface`: the index of the
/// interface by which the datagram leaves; 0: the routing table chooses. Sends nothing. Errors: EMFILE, ENETUNREACH,
/// EADDRNOTAVAIL, … socket, connect, getsockname
result<ip_address> source_address_to(const endpoint& destination, std::uint32_t interface) noexcept;

}  // namespace uring6::inline v0
