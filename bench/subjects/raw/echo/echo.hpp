// Echo servers in plain C. Like the README's server they answer from the address and the interface that a datagram
// arrived at.
#pragma once

#include <memory>

#include "subjects/subject.hpp"

namespace bench::raw {

/// With a vector of 1, recvmsg and sendmsg; with more, recvmmsg and sendmmsg.
std::unique_ptr<subject> echo(const settings&);

/// recvmsg and sendmsg of whole trains (UDP_GRO, UDP_SEGMENT).
std::unique_ptr<subject> echo_by_train(const settings&);

/// recvmmsg, and sendmmsg of one train for each run of datagrams that follow one another from one peer.
std::unique_ptr<subject> echo_by_run(const settings&);

/// Level-triggered epoll, and one recvmsg and one sendmsg for each event.
std::unique_ptr<subject> echo_by_epoll(const settings&);

/// io_uring: multishot recvmsg, and sendmsg.
std::unique_ptr<subject> echo_by_ring(const settings&);

/// A thread for each loop, on a processor of its own, with its own socket of one port (SO_REUSEPORT): recvmmsg and
/// sendmmsg. It only serves.
std::unique_ptr<subject> echo_by_threads(const settings&);

}  // namespace bench::raw
