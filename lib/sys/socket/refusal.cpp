#include "sys/socket/refusal.hpp"

#include <fmt/format.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>

namespace uring6::inline v0 {

// Asks by prctl, because reading /proc/self/status needs a descriptor. A kernel without seccomp returns EINVAL; any
// other error comes from a profile that refuses prctl.
bool seccomp_is_on() noexcept {
  const int mode = ::prctl(PR_GET_SECCOMP, 0, 0, 0, 0);
  return mode < 0 ? errno != EINVAL : mode != SECCOMP_MODE_DISABLED;
}

std::string explain_too_many_descriptors(int error_number) {
  if (error_number == ENFILE) return "too many open files on this system. Raise fs.file-max (sysctl -w fs.file-max=N)";
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return fmt::format("too many open files in this process, which may have {}. Raise RLIMIT_NOFILE (ulimit -n)",
                     limit.rlim_cur);
}

std::string explain_refused_call(std::string_view call, std::string_view system_call, int error_number) {
  switch (error_number) {
    case EPERM:
    case EACCES:
    case ENOSYS:
      if (seccomp_is_on())
        return fmt::format("{} is refused ({}) by a seccomp profile: allow {} in it", call, std::strerror(error_number),
                           system_call);
      return fmt::format("{} is refused ({}) by the kernel or a security module", call, std::strerror(error_number));
    case EMFILE:
    case ENFILE:
      return fmt::format("{}: {}", call, explain_too_many_descriptors(error_number));
    default:
      return fmt::format("{}: {}", call, std::strerror(error_number));
  }
}

}  // namespace uring6::inline v0
