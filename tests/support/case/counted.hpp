// Counts living objects, to prove that frames and results are destroyed, and only once.
#pragma once

namespace uring6::test {

struct counted {
  counted() noexcept { ++alive; }
  counted(const counted&) noexcept { ++alive; }
  counted(counted&&) noexcept { ++alive; }
  counted& operator=(const counted&) noexcept = default;
  counted& operator=(counted&&) noexcept = default;
  ~counted() { --alive; }

  static inline int alive = 0;
};

}  // namespace uring6::test
