// The driver of a ring that the kernel executes: io_uring.
#pragma once

#include <memory>
#include <string>

#include "uring/ring_driver.hpp"
#include "uring/ring_options.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0::detail {

class kernel_driver final : public ring_driver {
 public:
  /// Sets up `ring`, as `set_up_ring` says, and fills in `features`. `ring` must outlive the driver.
  static result<std::unique_ptr<ring_driver>> create(const ring_options& options, ::io_uring& ring,
                                                     ring_features& features, std::string& reason);
  ~kernel_driver() override;

  void leave_to_parent() noexcept override;
  int enable(ring_features& features) noexcept override;
  int enter(unsigned wait_for, std::optional<std::chrono::nanoseconds> timeout) noexcept override;
  int enter_and_gather(std::chrono::nanoseconds timeout, std::chrono::microseconds gather) noexcept override;
  int add_buffers(::io_uring_buf_reg& registration) noexcept override;
  void remove_buffers(std::uint16_t group) noexcept override;
  int signal_by(int eventfd) noexcept override;
  bool wake(int other_ring) noexcept override;
  void cancel_all() noexcept override;

 private:
  kernel_driver(::io_uring& ring, std::chrono::microseconds busy_poll) noexcept : ring_(ring), busy_poll_(busy_poll) {}
  void register_busy_poll(ring_features& features) noexcept;

  ::io_uring& ring_;
  std::chrono::microseconds busy_poll_;
  bool owns_ = false;     // the ring is set up, and not left to a parent
  bool signals_ = false;  // an eventfd is registered
};

}  // namespace uring6::inline v0::detail
