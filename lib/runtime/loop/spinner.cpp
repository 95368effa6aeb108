#include "runtime/loop/spinner.hpp"

namespace uring6::detail {

/// Tells the processor that this is a wait.
void spinner::relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Where waits last longer than a spin, a spin is wasted time: after some in vain only one wait in eight tries again.
bool spinner::worthwhile() noexcept {
  constexpr unsigned enough = 4;
  if (longest_.count() == 0) return false;
  return failed_spins_ < enough || ++waits_not_spun_ % 8 == 0;
}

bool spinner::ended(bool in_time) noexcept {
  turns_without_wait_ = 0;
  failed_spins_ = in_time ? 0 : failed_spins_ + 1;
  ++(in_time ? spins_ : idle_spins_);
  return in_time;
}

// Whoever has nothing while others have takes up their time.
void spinner::return_idle_sockets() noexcept {
  constexpr unsigned patience = 64;
  watched_.for_each([](watched_socket& each) {
    if (++each.spins_without_data_ < patience) return;
    each.unlink();
    each.return_to_ring();
  });
}

// Each is a system call, and delays the others.
bool spinner::has_place() const noexcept {
  constexpr int most = 4;
  int watched = 0;
  for (const list_hook* at = watched_.first(); !watched_.is_end(at); at = at->next) ++watched;
  return watched < most;
}

bool spinner::watch(watched_socket& what) noexcept {
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

}  // namespace uring6::detail
