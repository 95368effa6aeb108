// A kernel that refuses calls of the test's choice: io_uring_setup with certain flags or sizes, an io_uring_enter, an
// io_uring_register.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

namespace uring6::test {

/// Decides a call of io_uring_setup with this many entries and these flags: 0 leaves it to the kernel, an errno makes
/// it fail.
using setup_judge = std::function<int(unsigned entries, std::uint32_t flags)>;

/// From now on `judge`, which another thread calls, decides each io_uring_setup of the calling thread. The filter
/// cannot be removed: use it in a child. Throws std::system_error if seccomp does not permit it. seccomp_unotify(2)
void judge_ring_setup(setup_judge judge);

/// The same for io_uring_enter, with the number of operations to submit.
using enter_judge = std::function<int(unsigned submissions)>;
void judge_ring_enter(enter_judge judge);

/// The same for io_uring_register with this opcode (IORING_REGISTER_*) and argument, which the judge may write to.
/// Nothing: the kernel decides. Otherwise the call returns the value, a negative errno for a failure, and never reaches
/// the kernel.
using register_judge = std::function<std::optional<int>(unsigned opcode, void* argument)>;
void judge_ring_register(register_judge judge);

}  // namespace uring6::test
