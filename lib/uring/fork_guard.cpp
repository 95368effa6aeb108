#include "uring/fork_guard.hpp"

#include <pthread.h>

namespace uring6::inline v0::detail {

// glibc 2.36 allocates from the 49th handler of a process on. After one failed allocation it refuses every later
// handler.
std::error_code fork_handler::ensure() noexcept {
  if (registered_.load(std::memory_order_acquire)) return {};
  if (const int code = ::pthread_atfork(nullptr, nullptr, in_child_); code != 0) return {code, std::system_category()};
  registered_.store(true, std::memory_order_release);
  return {};
}

unsigned fork_guard::forks_ = 0;

std::error_code fork_guard::watch() noexcept {
  static constinit fork_handler count([] { ++forks_; });
  return count.ensure();
}

}  // namespace uring6::inline v0::detail
