// A TCP echo server in plain C.
#pragma once

#include <memory>

#include "subjects/subject.hpp"

namespace bench::raw {

/// Level-triggered epoll, and one recv and one send for each event.
std::unique_ptr<subject> streams_by_epoll(const settings&);

}  // namespace bench::raw
