// How many datagrams this kernel takes as one train.
#pragma once

#include <cstddef>
#include <optional>

namespace uring6::inline v0::detail {

/// The longest train of any kernel, datagrams: UDP_MAX_SEGMENTS since Linux 6.9.
inline constexpr std::size_t longest_segment_limit = 128;

/// The longest train that the running kernel sends, datagrams: 128 on newer kernels (Linux 6.9, and stable ones such as
/// 6.1.107), 64 on older ones. The answer is kept for the process; where the kernel cannot be asked, the result is 64
/// and the next call asks again. Any thread.
std::size_t segment_limit() noexcept;

/// Asks the kernel by sending a train over ::1 to the sending socket. Nothing if no train can be sent at all: no
/// descriptor is left, or the loopback interface is down in this network namespace.
std::optional<std::size_t> ask_segment_limit() noexcept;

}  // namespace uring6::inline v0::detail
