// Echo servers over plain system calls. Like the README's server, they answer from the address and the
// interface that a datagram came to.
#pragma once

#include <memory>

#include "subjects/subject.hpp"

namespace bench::raw {

/// With a vector of 1, recvmsg and sendmsg; with more, recvmmsg and sendmmsg.
std::unique_ptr<subject> echo(const settings&);

}  // namespace bench::raw
