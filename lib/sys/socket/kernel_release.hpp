// Which kernel this is, for the few questions that it cannot be asked itself.
#pragma once

#include <compare>
#include <optional>
#include <string>

namespace uring6 {

/// "6.18.44-amd64", or "unknown". uname
std::string kernel_release();

/// The mainline or stable release that a kernel is made of: 6.1.192.
struct kernel_version {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned patch = 0;
  auto operator<=>(const kernel_version&) const = default;
};

/// What a kernel says of itself. Releases of some distributions name no patch level ("6.1.0-57-amd64" is 6.1.192,
/// "6.8.0-49-generic" is 6.8.12): Debian's is in the version, Ubuntu's in a file of its own.
struct kernel_names {
  std::string release;    ///< uname -r: "6.1.0-57-amd64"
  std::string version;    ///< uname -v: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-3 (2026-11-26)"
  std::string signature;  ///< /proc/version_signature: "Ubuntu 6.8.0-49.49-generic 6.8.12"; empty elsewhere
};

/// Of the kernel that runs here.
kernel_names read_kernel_names();

/// Nothing where the release is no version. A patch level that no name tells is 0.
std::optional<kernel_version> version_of(const kernel_names& names) noexcept;

}  // namespace uring6
