// ThreadSanitizer does not see that the kernel orders a submission before its completion. The ring tells it:
// `submitted_to_kernel` where it submits, `reaped_from_kernel` where it reaps.
#pragma once

#if defined(__SANITIZE_THREAD__)
#define URING6_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define URING6_TSAN 1
#endif
#endif

#ifdef URING6_TSAN
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#endif

namespace uring6::inline v0::detail {

inline void submitted_to_kernel([[maybe_unused]] void* what) noexcept {
#ifdef URING6_TSAN
  __tsan_release(what);
#endif
}

inline void reaped_from_kernel([[maybe_unused]] void* what) noexcept {
#ifdef URING6_TSAN
  __tsan_acquire(what);
#endif
}

}  // namespace uring6::inline v0::detail
