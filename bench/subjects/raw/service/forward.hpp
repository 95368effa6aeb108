// A forwarder in plain C: many clients, one upstream, and the way back by an id (common/forward.hpp).
#pragma once

#include <memory>

#include "subjects/subject.hpp"

namespace bench::raw {

/// poll of both sockets, recvmmsg and sendmmsg.
std::unique_ptr<subject> forward(const settings&);

}  // namespace bench::raw
