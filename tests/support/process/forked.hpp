// Runs a part of a test in a process of its own: its changes to itself (seccomp, limits, namespaces) end with it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace uring6::test {

/// Whether every other thread of this process sleeps in the kernel.
bool other_threads_sleep();

/// Returns the result of `work`, called in a child of this process. Throws std::runtime_error if the child did not end
/// by returning; an exception of `work` becomes one.
std::string in_child(const std::function<std::string()>& work);

/// From now on `system_call` (SYS_*) fails with `error_number` in the calling process, for good: use it in a child.
/// seccomp(2)
void forbid_system_call(long system_call, int error_number);

/// The same only where one of its arguments, 0 to 5, has this value.
struct call_argument {
  unsigned index = 0;
  std::uint32_t value = 0;
};
void forbid_system_call(long system_call, int error_number, const call_argument& where);

}  // namespace uring6::test
