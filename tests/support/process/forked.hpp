// Runs a piece of a test in a process of its own: what it does to itself (seccomp, limits, namespaces) ends
// there.
#pragma once

#include <functional>
#include <string>

namespace uring6::test {

/// What `work` returns, called in a child of this process. Throws std::runtime_error if the child ended in
/// any other way than by returning; an exception out of `work` becomes one.
std::string in_child(const std::function<std::string()>& work);

/// From now on `system_call` (SYS_*) fails with `error_number` in the calling process. There is no way back:
/// use it in a child. seccomp(2)
void forbid_system_call(long system_call, int error_number);

}  // namespace uring6::test
