// Does this kernel merge only datagrams that are equal into a train that UDP_GRO delivers?
#pragma once

#include <cstddef>
#include <optional>

#include "sys/socket/kernel_release.hpp"

namespace uring6::detail {

/// Before commit 5babae777c61 the kernel merged datagrams of different traffic class or hop limit, and told one's
/// values for all. Mainline has it since 6.9; the stable series of 6.1 since 6.1.91, 6.6 since 6.6.31, 6.8
/// since 6.8.10.
///
/// It cannot be tried on ::1: the kernel merges only what a device with NAPI receives. What can be tried there is
/// another change that the series of 6.1 took later (6.1.107): trains of 128 datagrams instead of 64 leave. A kernel of
/// that series that sends 128 has both. Otherwise the patch level decides, and a kernel that does not tell it is taken
/// for one without the change, as is every other series before 6.9.
///
/// `longest_train`: what `ask_segment_limit` says; nothing where it cannot be asked.
bool merges_only_equals(const kernel_version& kernel, std::optional<std::size_t> longest_train) noexcept;

/// The same of the kernel that runs here, asked once per process; where nothing tells, once per call. Any thread.
bool kernel_merges_only_equals() noexcept;

}  // namespace uring6::detail
