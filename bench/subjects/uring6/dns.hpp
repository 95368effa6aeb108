// uring6's name servers.
#pragma once

#include <memory>

#include "subjects/subject.hpp"

namespace bench::u6 {

/// Reads lent batches of queries and writes a batch of answers.
std::unique_ptr<subject> dns(const settings&);

/// Reads one query and writes one answer, ahead.
std::unique_ptr<subject> dns_simple(const settings&);

}  // namespace bench::u6
