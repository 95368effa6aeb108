// Constants of io_uring that are newer than liburing 2.3, the oldest one that uring6 builds with. The comments have the
// kernel's names and the release. The library asks the running kernel which of them it knows.
#pragma once

#include <cstddef>
#include <cstdint>

namespace uring6::inline v0::kernel_abi {

inline constexpr std::uint32_t setup_no_sqarray = 1U << 16;       // IORING_SETUP_NO_SQARRAY, 6.6
inline constexpr std::uint32_t feat_reg_reg_ring = 1U << 13;      // IORING_FEAT_REG_REG_RING, 6.3
inline constexpr std::uint32_t feat_min_timeout = 1U << 15;       // IORING_FEAT_MIN_TIMEOUT, 6.12
inline constexpr std::uint32_t register_napi = 27;                // IORING_REGISTER_NAPI, 6.9
inline constexpr std::uint32_t send_zc_report_usage = 1U << 3;    // IORING_SEND_ZC_REPORT_USAGE, 6.2
inline constexpr std::uint32_t notif_usage_zc_copied = 1U << 31;  // IORING_NOTIF_USAGE_ZC_COPIED, 6.2

/// struct io_uring_getevents_arg of 6.12, for IORING_ENTER_EXT_ARG. Older kernels have padding in the place of
/// min_wait_usec, and return EINVAL unless it is zero.
struct getevents_arg {
  std::uint64_t sigmask;
  std::uint32_t sigmask_sz;
  std::uint32_t min_wait_usec;
  std::uint64_t ts;
};
static_assert(sizeof(getevents_arg) == 24 && offsetof(getevents_arg, min_wait_usec) == 12);

/// struct io_uring_napi, 6.9. All fields but `busy_poll_to` and `prefer_busy_poll` are zero for dynamic tracking (6.13
/// named them).
struct napi {
  std::uint32_t busy_poll_to;  // microseconds
  std::uint8_t prefer_busy_poll;
  std::uint8_t rest[11];
};
static_assert(sizeof(napi) == 16);

}  // namespace uring6::inline v0::kernel_abi
