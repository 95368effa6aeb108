// Runs without privileges.
#pragma once

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace uring6::test {

/// Drops all capabilities of the calling thread, for good: for a thread that ends soon.
inline void drop_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const std::array<__user_cap_data_struct, 2> none{};
  if (::syscall(SYS_capset, &header, none.data()) != 0) throw std::system_error(errno, std::system_category());
}

}  // namespace uring6::test
