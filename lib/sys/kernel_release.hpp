// Which kernel this is, for the few questions that it cannot be asked itself.
#pragma once

#include <string>
#include <string_view>

namespace uring6 {

/// "6.18.44-amd64", or "unknown". uname
std::string kernel_release();

/// Whether a kernel of this release merges only datagrams of one traffic class and hop limit into a train (UDP_GRO):
/// from 6.9 on. Older ones tell one datagram's ECN for all. False for text that is no release.
bool merges_only_equals(std::string_view release) noexcept;

/// The same of the kernel that runs here; asked once.
bool kernel_merges_only_equals() noexcept;

}  // namespace uring6
