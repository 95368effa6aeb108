#include "uring/fork_guard.hpp"

#include <pthread.h>

namespace uring6::detail {

unsigned fork_guard::forks_ = 0;

fork_guard::fork_guard() noexcept {
  static const int registered = ::pthread_atfork(nullptr, nullptr, [] { ++forks_; });
  (void)registered;
  born_ = forks_;
}

}  // namespace uring6::detail
