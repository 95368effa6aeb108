#include "sys/socket/file_descriptor.hpp"

#include <unistd.h>

#include <cerrno>

namespace uring6::inline v0 {

droppable_result<void> file_descriptor::close() noexcept {
  if (fd_ < 0) return fail(errc::closed);
  // Not repeated after EINTR: Linux has freed the number then, and another thread may have it already.
  if (::close(release()) != 0 && errno != EINTR) return fail_errno(errno);
  return {};
}

}  // namespace uring6::inline v0
