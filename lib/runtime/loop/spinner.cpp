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
  return in_vain_ < enough || ++waits_not_spun_ % 8 == 0;
}

bool spinner::ended(bool in_time) noexcept {
  passes_ = 0;
  in_vain_ = in_time ? 0 : in_vain_ + 1;
  ++(in_time ? spins_ : idle_spins_);
  return in_time;
}

// Whoever has nothing while others have takes up their time.
void spinner::pass_over() noexcept {
  constexpr unsigned patience = 64;
  watched_.for_each([](watched_socket& each) {
    if (++each.passed_over_ < patience) return;
    each.unlink();
    each.go_by_ring();
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
  what.passed_over_ = 0;
  watched_.push_back(what);
  return true;
}

bool spinner::look() noexcept {
  for (list_hook* at = watched_.first(); !watched_.is_end(at);) {
    auto& each = static_cast<watched_socket&>(*at);
    at = at->next;
    if (each.look()) return true;
  }
  return false;
}

void spinner::pass() noexcept {
  if (passes_ < few_passes) {
    ++passes_;
    look();
  } else {
    rest();
  }
}

void spinner::rest() noexcept {
  passes_ = few_passes;
  while (!watched_.empty()) watched_.pop_front().go_by_ring();
}

}  // namespace uring6::detail
