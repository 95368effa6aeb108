// How many datagrams this kernel takes as one train.
#pragma once

#include <cstddef>
#include <optional>

namespace uring6::detail {

/// The most that any kernel takes: UDP_MAX_SEGMENTS since Linux 6.9.
inline constexpr std::size_t longest_segment_limit = 128;

/// 128 on newer kernels (Linux 6.9, and stable ones such as 6.1.107), 64 on older ones. Once the kernel has said so, it
/// is known to the process; 64, and to be asked again, where it cannot be asked now.
std::size_t segment_limit() noexcept;

/// Asks the kernel, with a train over ::1 to itself; nothing if that cannot go, whatever its length: no descriptor is
/// left, or the loopback interface is down in this network namespace.
std::optional<std::size_t> ask_segment_limit() noexcept;

}  // namespace uring6::detail
