// Name servers in plain C.
#pragma once

#include <memory>

#include "subjects/subject.hpp"

namespace bench::raw {

/// recvmmsg and sendmmsg.
std::unique_ptr<subject> dns_by_vector(const settings&);

}  // namespace bench::raw
