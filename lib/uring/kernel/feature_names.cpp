#include "uring/kernel/feature_names.hpp"

#include <fmt/format.h>

#include <array>
#include <span>
#include <string_view>

namespace uring6::inline v0::detail {
namespace {

// By bit number. The headers of the oldest liburing lack the last names.
constexpr std::array<std::string_view, 17> setup_flags{
    "IOPOLL",        "SQPOLL",        "SQ_AFF",     "CQSIZE",
    "CLAMP",         "ATTACH_WQ",     "R_DISABLED", "SUBMIT_ALL",
    "COOP_TASKRUN",  "TASKRUN_FLAG",  "SQE128",     "CQE32",
    "SINGLE_ISSUER", "DEFER_TASKRUN", "NO_MMAP",    "REGISTERED_FD_ONLY",
    "NO_SQARRAY",
};

constexpr std::array<std::string_view, 18> ring_feature_bits{
    "SINGLE_MMAP", "NODROP",          "SUBMIT_STABLE",   "RW_CUR_POS",     "CUR_PERSONALITY", "FAST_POLL",
    "POLL_32BITS", "SQPOLL_NONFIXED", "EXT_ARG",         "NATIVE_WORKERS", "RSRC_TAGS",       "CQE_SKIP",
    "LINKED_FILE", "REG_REG_RING",    "RECVSEND_BUNDLE", "MIN_TIMEOUT",    "RW_ATTR",         "NO_IOWAIT",
};

std::vector<std::string> names_of(std::uint32_t bits, std::span<const std::string_view> names) {
  std::vector<std::string> all;
  for (std::size_t bit = 0; bits != 0; ++bit, bits >>= 1) {
    if ((bits & 1) == 0) continue;
    all.push_back(bit < names.size() ? std::string(names[bit]) : fmt::format("bit {}", bit));
  }
  return all;
}

}  // namespace

std::vector<std::string> setup_flag_names(std::uint32_t flags) {
  return names_of(flags, setup_flags);
}

std::vector<std::string> ring_feature_names(std::uint32_t features) {
  return names_of(features, ring_feature_bits);
}

}  // namespace uring6::inline v0::detail
