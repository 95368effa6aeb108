// uring6's echo servers.
#pragma once

#include <memory>

#include "subjects/subject.hpp"

namespace bench::u6 {

/// Reads lent batches and answers each datagram out of its buffer.
std::unique_ptr<subject> echo(const settings&);

/// The loop of the README, which checks what it reads: read one, write one.
std::unique_ptr<subject> echo_simple(const settings&);

/// The README's service as printed, which checks nothing. It serves until its process ends, and counts nothing.
std::unique_ptr<subject> echo_of_readme(const settings&);

/// A group of loops at one port (`listen_group`), each as `echo`. It only serves.
std::unique_ptr<subject> echo_by_loops(const settings&);

}  // namespace bench::u6
