#include "sys/socket/kernel_release.hpp"

#include <sys/utsname.h>

#include <algorithm>
#include <charconv>
#include <fstream>

namespace uring6::inline v0 {
namespace {

/// The version at the beginning of the text: "6.18", "6.1.192-3".
std::optional<kernel_version> leading_version(std::string_view text) noexcept {
  kernel_version found;
  const char* const end = text.data() + text.size();
  const auto major = std::from_chars(text.data(), end, found.major);
  if (major.ec != std::errc() || major.ptr == end || *major.ptr != '.') return {};
  const auto minor = std::from_chars(major.ptr + 1, end, found.minor);
  if (minor.ec != std::errc()) return {};
  if (minor.ptr != end && *minor.ptr == '.') std::from_chars(minor.ptr + 1, end, found.patch);
  return found;
}

/// The greatest version that a word of the text begins with and that is of the same series as `of`; at least `of`.
kernel_version with_patch_of(kernel_version of, std::string_view text) noexcept {
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    const auto named = leading_version(word);
    if (named && named->major == of.major && named->minor == of.minor) of = std::max(of, *named);
    text.remove_prefix(std::min(word.size() + 1, text.size()));
  }
  return of;
}

}  // namespace

std::string kernel_release() {
  utsname name{};
  return ::uname(&name) == 0 ? name.release : "unknown";
}

kernel_names read_kernel_names() {
  kernel_names names;
  utsname name{};
  if (::uname(&name) == 0) names = {.release = name.release, .version = name.version, .signature = {}};
  std::ifstream file("/proc/version_signature");
  std::getline(file, names.signature);
  return names;
}

std::optional<kernel_version> version_of(const kernel_names& names) noexcept {
  const auto released = leading_version(names.release);
  if (!released) return {};
  return with_patch_of(with_patch_of(*released, names.version), names.signature);
}

}  // namespace uring6::inline v0
