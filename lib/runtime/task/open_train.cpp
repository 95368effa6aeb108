#include "uring6/detail/open_train.hpp"

namespace uring6::inline v0::detail {

// Opened by a conn's receiver (lib/net/receive), closed by the loop at the end of each turn at the latest.
constinit thread_local open_train this_threads_train;

}  // namespace uring6::inline v0::detail
