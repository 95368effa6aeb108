// Sets up a ring: tries sets of set-up flags, the best first, and explains each refusal.
#pragma once

#include <liburing.h>

#include <string>
#include <string_view>

#include "uring/ring_options.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0::detail {

/// Sets up the best ring that the kernel gives, and tries whether it can be used: the kernel has rings of receive
/// buffers and multishot recvmsg, and nothing refuses io_uring_register or io_uring_enter. After an error no ring is
/// left, and `reason` is a sentence for a user: what was refused, and what to do. Errors: those of io_uring_setup;
/// not_supported for a kernel that is too old; EPERM, EACCES or ENOSYS of a sandbox.
result<void> set_up_ring(const ring_options& options, ::io_uring& ring, ring_features& features, std::string& reason);

/// Why io_uring_setup failed with this errno, and what to do about it: kernel, sysctl, seccomp or memlock.
std::string explain_setup_failure(int error_number);

/// The same for a ring that was set up and cannot be used: `call` (io_uring_register or io_uring_enter) failed.
std::string explain_use_failure(std::string_view call, int error_number);

/// A sentence for IORING_REGISTER_NAPI that failed with this errno: why the kernel does not busy-poll devices.
std::string explain_no_busy_poll(int error_number);

}  // namespace uring6::inline v0::detail
