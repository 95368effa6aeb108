// Does this kernel merge only datagrams that are equal into a train that UDP_GRO delivers?
#pragma once

#include <cstddef>
#include <optional>

#include "sys/socket/kernel_release.hpp"

namespace uring6::inline v0::detail {

/// Does the kernel have commit 5babae777c61? Before it the kernel merged datagrams of different traffic class or hop
/// limit, and reported the values of one of them for all.
///
/// `longest_train`: the result of `ask_segment_limit`; nothing where the kernel cannot be asked.
bool merges_only_equals(const kernel_version& kernel, std::optional<std::size_t> longest_train) noexcept;

/// The same for the running kernel. The answer is kept for the process; an unknown answer counts as false, and the next
/// call asks again. Any thread.
bool kernel_merges_only_equals() noexcept;

}  // namespace uring6::inline v0::detail
