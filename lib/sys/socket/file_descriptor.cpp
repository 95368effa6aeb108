#include "sys/socket/file_descriptor.hpp"

#include <unistd.h>

#include <cerrno>

namespace uring6 {

result<void> file_descriptor::close() noexcept {
  if (fd_ < 0) return fail(errc::closed);
  // Never again after EINTR: Linux has freed the number by then, and it may be another thread's already.
  if (::close(release()) != 0 && errno != EINTR) return fail_errno(errno);
  return {};
}

}  // namespace uring6
