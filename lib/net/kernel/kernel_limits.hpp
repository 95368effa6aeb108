// What older kernels lack that the loop works around, as sentences for the report of probe().
#pragma once

#include <string>
#include <vector>

namespace uring6::inline v0::detail {

/// Each member is true if the kernel behaves as the newest one does, or if that is not known.
struct kernel_limits {
  bool bounded_reads = true;         ///< `try_multishot_bound`
  bool errors_leave_buffers = true;  ///< `try_error_leaves_buffer`
  bool ordered_completions = true;   ///< `try_completion_order`
  bool ring_messages = true;         ///< Loops wake each other by IORING_OP_MSG_RING.
  bool min_wait = true;              ///< `loop_options::min_wait` has an effect.
  bool merges_only_equals = true;    ///< `kernel_merges_only_equals`
};

/// Appends a sentence for each member that is false: what the kernel does, since which release it does better, and how
/// the loop works around it.
void append_sentences(const kernel_limits& limits, std::vector<std::string>& sentences);

}  // namespace uring6::inline v0::detail
