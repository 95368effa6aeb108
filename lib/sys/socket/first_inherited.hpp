// The number at which the descriptors begin that a service inherits.
#pragma once

namespace uring6::inline v0 {

/// SD_LISTEN_FDS_START: behind standard input, output and errors.
inline constexpr int first_inherited = 3;

}  // namespace uring6::inline v0
