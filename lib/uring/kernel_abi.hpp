// Constants of io_uring that are newer than the oldest liburing we build with (2.3), under the kernel's names.
// Whether the running kernel knows them is asked at run time, never assumed from a header.
#pragma once

#include <cstddef>
#include <cstdint>

namespace uring6::kernel_abi {

inline constexpr std::uint32_t setup_no_sqarray = 1U << 16;       // IORING_SETUP_NO_SQARRAY, 6.6
inline constexpr std::uint32_t feat_reg_reg_ring = 1U << 13;      // IORING_FEAT_REG_REG_RING, 6.3
inline constexpr std::uint32_t feat_min_timeout = 1U << 15;       // IORING_FEAT_MIN_TIMEOUT, 6.12
inline constexpr std::uint32_t register_napi = 27;                // IORING_REGISTER_NAPI, 6.9
inline constexpr std::uint32_t send_zc_report_usage = 1U << 3;    // IORING_SEND_ZC_REPORT_USAGE, 6.2
inline constexpr std::uint32_t notif_usage_zc_copied = 1U << 31;  // IORING_NOTIF_USAGE_ZC_COPIED, 6.2

/// struct io_uring_getevents_arg of 6.12, for IORING_ENTER_EXT_ARG: older kernels have padding where min_wait_usec is,
/// and refuse (EINVAL) what is not zero there.
struct getevents_arg {
  std::uint64_t sigmask;
  std::uint32_t sigmask_sz;
  std::uint32_t min_wait_usec;
  std::uint64_t ts;
};
static_assert(sizeof(getevents_arg) == 24 && offsetof(getevents_arg, min_wait_usec) == 12);

/// struct io_uring_napi, 6.9. What follows the first field is zero for dynamic tracking (6.13 gave it names).
struct napi {
  std::uint32_t busy_poll_to;  // microseconds
  std::uint8_t prefer_busy_poll;
  std::uint8_t rest[11];
};
static_assert(sizeof(napi) == 16);

}  // namespace uring6::kernel_abi
