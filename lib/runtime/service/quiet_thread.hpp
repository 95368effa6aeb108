// Threads with all signals blocked, so that the kernel delivers signals to the program's own threads, which handle or
// await them.
#pragma once

#include <pthread.h>

#include <csignal>
#include <thread>
#include <utility>

namespace uring6::inline v0::detail {

/// A thread with all signals blocked. Throws std::system_error.
template <class F>
std::jthread start_quiet_thread(F&& f) {
  struct all_blocked {
    all_blocked() noexcept {
      sigset_t all;
      ::sigfillset(&all);
      ::pthread_sigmask(SIG_SETMASK, &all, &before);
    }
    all_blocked(const all_blocked&) = delete;
    all_blocked& operator=(const all_blocked&) = delete;
    ~all_blocked() { ::pthread_sigmask(SIG_SETMASK, &before, nullptr); }
    sigset_t before;
  } const inherited;
  return std::jthread(std::forward<F>(f));
}

}  // namespace uring6::inline v0::detail
