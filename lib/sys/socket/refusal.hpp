// Why the kernel refused a system call, and what to do about it, in a sentence for a user.
#pragma once

#include <string>
#include <string_view>

namespace uring6::inline v0 {

/// Does a seccomp profile filter the calling thread's system calls?
bool seccomp_is_on() noexcept;

/// "CALL is refused (REASON) by a seccomp profile: allow SYSTEM_CALL in it", for an errno by which sandboxes refuse;
/// for too many descriptors the limit and how to raise it; otherwise the errno's own text.
std::string explain_refused_call(std::string_view call, std::string_view system_call, int error_number);

/// A sentence that names the limit on descriptors (EMFILE: of the process, ENFILE: of the system) and how to raise it.
std::string explain_too_many_descriptors(int error_number);

}  // namespace uring6::inline v0
