// How many datagrams this kernel takes as one train.
#pragma once

#include <cstddef>

namespace uring6::detail {

/// 128 since Linux 6.9, 64 before. Asked of the kernel once per process, with a train over ::1 to itself.
std::size_t segment_limit() noexcept;

}  // namespace uring6::detail
