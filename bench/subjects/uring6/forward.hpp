// uring6's forwarders: many clients, one upstream, and the way back by an id (common/forward.hpp).
#pragma once

#include <memory>

#include "subjects/subject.hpp"

namespace bench::u6 {

/// Lent batches both ways, passed on out of their buffers, and a table of clients.
std::unique_ptr<subject> forward(const settings&);

/// As examples/forwarder.cpp: a coroutine with a copy of each query, which waits for its answer and for a timeout.
std::unique_ptr<subject> forward_each_by_a_coroutine(const settings&);

}  // namespace bench::u6
