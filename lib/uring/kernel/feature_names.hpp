// The kernel's names of set-up flags and features of a ring.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace uring6::inline v0::detail {

/// "SINGLE_ISSUER", "DEFER_TASKRUN", ... of IORING_SETUP_*, lowest bit first; "bit 20" for one without a name
/// here.
std::vector<std::string> setup_flag_names(std::uint32_t flags);

/// "NODROP", "EXT_ARG", ... of IORING_FEAT_*.
std::vector<std::string> ring_feature_names(std::uint32_t features);

}  // namespace uring6::inline v0::detail
