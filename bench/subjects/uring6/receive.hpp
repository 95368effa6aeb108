// uring6's ways to receive.
#pragma once

#include <memory>

#include "subjects/subject.hpp"

namespace bench::u6 {

std::unique_ptr<subject> receive_by_read_from(const settings&);
std::unique_ptr<subject> receive_by_read_batch(const settings&);
/// With more than one socket, or one at an address of its own, `receive_in_a_crowd`.
std::unique_ptr<subject> receive_by_receive(const settings&);
std::unique_ptr<subject> receive_in_a_crowd(const settings&);
std::unique_ptr<subject> receive_by_one_loop(const settings&);
std::unique_ptr<subject> receive_by_two_loops(const settings&);

}  // namespace bench::u6
