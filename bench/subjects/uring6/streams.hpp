// uring6's TCP echo server.
#pragma once

#include <memory>

#include "subjects/subject.hpp"

namespace bench::u6 {

/// A coroutine for each connection: read some, write all of it.
std::unique_ptr<subject> streams(const settings&);

}  // namespace bench::u6
