// An eventfd that the ring reads: another thread writes to it to end the loop's sleep.
#pragma once

#include <cstdint>

#include "uring6/detail/operation.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0::detail {

class wakeup final : public operation {
 public:
  wakeup() = default;
  ~wakeup();

  result<void> open() noexcept;

  /// Ends the sleep. Any thread; async-signal-safe.
  void signal() noexcept;

  void prepare(io_uring_sqe& entry) noexcept override;
  void complete(completion what) noexcept override;

 private:
  int fd_ = -1;
  std::uint64_t count_ = 0;
};

}  // namespace uring6::inline v0::detail
