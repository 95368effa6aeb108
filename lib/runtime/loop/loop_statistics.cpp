// What a loop has counted, gathered from its parts.
#include "runtime/loop/loop_core.hpp"

namespace uring6::inline v0::detail {

loop_stats loop_core::stats() const noexcept {
  const ring_counters& from = ring_->counters();
  return {.enters = from.enters,
          .sends = sends_,
          .submissions = from.submissions,
          .completions = from.completions,
          .overflows = from.overflows,
          .turns = turns_,
          .resumptions = resumptions_,
          .posts = posts_,
          .ring_messages = from.messages,
          .spins = spinner_.spins(),
          .idle_spins = spinner_.idle_spins(),
          .looks = looks_,
          .readiness = ring_->features().driver == loop_driver::readiness,
          .attempts = ring_->driver_calls(),
          .io_uring_errno = static_cast<std::uint64_t>(ring_->features().io_uring_refused.value())};
}

std::array<pool_stats, buffer_class_count> loop_core::pool_statistics() const noexcept {
  std::array<pool_stats, buffer_class_count> all;
  for (std::size_t each = 0; each < buffer_class_count; ++each) {
    if (pools_[each]) all[each] = pools_[each]->stats();
  }
  return all;
}

}  // namespace uring6::inline v0::detail
