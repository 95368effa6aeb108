// The version of the running kernel, for the few features that a system call cannot ask about.
#pragma once

#include <compare>
#include <optional>
#include <string>

namespace uring6::inline v0 {

/// "6.18.44-amd64", or "unknown". uname
std::string kernel_release();

/// The mainline or stable release on which a kernel is based: 6.1.192.
struct kernel_version {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned patch = 0;
  auto operator<=>(const kernel_version&) const = default;
};

/// The texts in which a kernel names its version. In the release of some distributions the patch level is missing
/// ("6.1.0-57-amd64" is 6.1.192, "6.8.0-49-generic" is 6.8.12): Debian has it in the version, Ubuntu in a file of its
/// own.
struct kernel_names {
  std::string release;    ///< uname -r: "6.1.0-57-amd64"
  std::string version;    ///< uname -v: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-3 (2026-11-26)"
  std::string signature;  ///< /proc/version_signature: "Ubuntu 6.8.0-49.49-generic 6.8.12"; empty elsewhere
};

/// Reads the names of the running kernel.
kernel_names read_kernel_names();

/// The version in these names; nothing if the release is no version. A patch level that no name has is 0.
std::optional<kernel_version> version_of(const kernel_names& names) noexcept;

}  // namespace uring6::inline v0
