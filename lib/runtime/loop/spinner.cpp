#include "runtime/loop/spinner.hpp"

#include <cassert>

namespace uring6::inline v0::detail {

/// The processor's instruction for busy waiting: saves power, and leaves its units to the other hardware thread.
void spinner::relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins that fail are wasted time: after four in a row only one wait in eight begins with a spin, to notice when waits
// have become short again.
bool spinner::worthwhile() noexcept {
  constexpr unsigned max_failed_spins = 4;
  if (longest_.count() == 0) return false;
  return failed_spins_ < max_failed_spins || ++waits_not_spun_ % 8 == 0;
}

bool spinner::ended(bool in_time) noexcept {
  turns_without_wait_ = 0;
  failed_spins_ = in_time ? 0 : failed_spins_ + 1;
  ++(in_time ? spins_ : idle_spins_);
  return in_time;
}

// A watched socket that stayed empty during 64 spins in which another socket had data costs that one a system call per
// spin: hand it back to the ring.
void spinner::return_idle_sockets() noexcept {
  constexpr unsigned max_spins_without_data = 64;
  watched_.for_each([](watched_socket& each) {
    if (++each.spins_without_data_ < max_spins_without_data) return;
    each.unlink();
    each.return_to_ring();
  });
}

// Each watched socket is a system call in every pass of a spin, and delays the news of the others: so four at most.
bool spinner::has_place() const noexcept {
  constexpr int max_watched = 4;
  int watched = 0;
  for (const list_hook* at = watched_.first(); !watched_.is_end(at); at = at->next) ++watched;
  return watched < max_watched;
}

bool spinner::watch(watched_socket& what) noexcept {
  assert(!what.linked());
  assert(longest_.count() > 0 && "this loop does not spin, so it would never read the socket");
  if (!has_place()) return false;
  what.spins_without_data_ = 0;
  watched_.push_back(what);
  return true;
}

bool spinner::read_watched() noexcept {
  for (list_hook* at = watched_.first(); !watched_.is_end(at);) {
    auto& each = static_cast<watched_socket&>(*at);
    at = at->next;
    if (each.try_read()) return true;
  }
  return false;
}

void spinner::read_watched_once() noexcept {
  assert(turns_without_wait_ <= max_turns_without_wait);
  if (turns_without_wait_ < max_turns_without_wait) {
    ++turns_without_wait_;
    read_watched();
  } else {
    stop_watching();
  }
}

void spinner::stop_watching() noexcept {
  turns_without_wait_ = max_turns_without_wait;
  while (!watched_.empty()) watched_.pop_front().return_to_ring();
}

}  // namespace uring6::inline v0::detail
