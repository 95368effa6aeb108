// What older kernels do worse than the newest, where the loop works around it: the sentences of probe().
#pragma once

#include <string>
#include <vector>

namespace uring6::detail {

/// True: as the newest kernel does, or not known.
struct kernel_limits {
  bool bounded_reads = true;         ///< `try_multishot_bound`
  bool errors_leave_buffers = true;  ///< `try_error_leaves_buffer`
  bool ordered_completions = true;   ///< `try_completion_order`
  bool ring_messages = true;         ///< Loops wake each other by IORING_OP_MSG_RING.
  bool min_wait = true;              ///< `loop_options::min_wait` has an effect.
  bool merges_only_equals = true;    ///< `kernel_merges_only_equals`
};

/// Appends a sentence for a user for each limit that is false: what happens, since which release it does not, and what
/// the loop does about it.
void append_sentences(const kernel_limits& limits, std::vector<std::string>& sentences);

}  // namespace uring6::detail
