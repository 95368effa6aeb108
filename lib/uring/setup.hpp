// The ladder of set-up flags: the best ring that this kernel gives, and the reason for each refusal.
#pragma once

#include "uring/ring.hpp"

namespace uring6::detail {

result<void> set_up_ring(const ring_options& options, ::io_uring& ring, ring_features& features);

/// Why io_uring_setup failed with this errno, and what to do about it: kernel, sysctl, seccomp or memlock.
std::string explain_setup_failure(int error_number);

/// The same for a ring that was set up and cannot be used: io_uring_register or io_uring_enter failed.
std::string explain_use_failure(int error_number);

/// Why devices are not polled: IORING_REGISTER_NAPI failed with this errno.
std::string explain_no_busy_poll(int error_number);

}  // namespace uring6::detail
