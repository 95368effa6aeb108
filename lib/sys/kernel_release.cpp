#include "sys/kernel_release.hpp"

#include <sys/utsname.h>

#include <charconv>
#include <utility>

namespace uring6 {

std::string kernel_release() {
  utsname name{};
  return ::uname(&name) == 0 ? name.release : "unknown";
}

bool merges_only_equals(std::string_view release) noexcept {
  std::pair<unsigned, unsigned> version;
  const char* const end = release.data() + release.size();
  const auto major = std::from_chars(release.data(), end, version.first);
  if (major.ec != std::errc() || major.ptr == end || *major.ptr != '.') return false;
  if (std::from_chars(major.ptr + 1, end, version.second).ec != std::errc()) return false;
  return version >= std::pair(6u, 9u);
}

bool kernel_merges_only_equals() noexcept {
  static const bool known = merges_only_equals(kernel_release());
  return known;
}

}  // namespace uring6
