// uring6's echo servers.
#pragma once

#include <memory>

#include "subjects/subject.hpp"

namespace bench::u6 {

/// Reads lent batches and answers each datagram out of its buffer.
std::unique_ptr<subject> echo(const settings&);

/// The loop of the README: read one, write one.
std::unique_ptr<subject> echo_simple(const settings&);

}  // namespace bench::u6
