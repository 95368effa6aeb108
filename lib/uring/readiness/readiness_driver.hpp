// The driver of a ring that this process executes: it waits for readiness with epoll, and makes non-blocking calls.
// Submission entries, completions and rings of buffers are those of io_uring, in the same memory layout.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "uring/readiness/buffer_groups.hpp"
#include "uring/readiness/interest.hpp"
#include "uring/readiness/request.hpp"
#include "uring/readiness/ring_queues.hpp"
#include "uring/ring_driver.hpp"
#include "uring/ring_options.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0::detail {

/// The low 32 bits of an operation's user_data number it among those in flight, from 0 up: requests are found by them.
class readiness_driver final : public ring_driver {
 public:
  /// Makes the queues of `ring`, which must outlive the driver, and fills in `features`. EMFILE, ENFILE,
  /// not_enough_memory, or that of a sandbox; `reason` is then a sentence for a user.
  static result<std::unique_ptr<ring_driver>> create(const ring_options& options, ::io_uring& ring,
                                                     ring_features& features, std::string& reason);

  void leave_to_parent() noexcept override {}
  int enable(ring_features&) noexcept override { return 0; }
  int enter(unsigned wait_for, std::optional<std::chrono::nanoseconds> timeout) noexcept override;
  int enter_and_gather(std::chrono::nanoseconds timeout, std::chrono::microseconds gather) noexcept override;
  int add_buffers(::io_uring_buf_reg& registration) noexcept override { return groups_.add(registration); }
  void remove_buffers(std::uint16_t group) noexcept override { groups_.remove(group); }
  int signal_by(int) noexcept override { return 0; }
  std::uint64_t calls() const noexcept override { return calls_ + interest_.calls(); }
  bool wake(int) noexcept override { return false; }
  void cancel_all() noexcept override {}  // operations go on inside of an enter only

 private:
  explicit readiness_driver(::io_uring& ring) : ring_(ring) {}

  void submit() noexcept;
  void start(const ::io_uring_sqe& entry) noexcept;
  void cancel(std::uint64_t user_data) noexcept;
  void run(request& what, bool is_ready) noexcept;
  void finish(request& what, const attempt_result& how) noexcept;
  void wait(request& what, std::uint32_t events) noexcept;
  void run_again(request& what) noexcept;
  void fail_waiting(request& what, int code) noexcept;
  void run_later(request& what) noexcept;
  void go_on() noexcept;
  request* place_for(std::uint64_t user_data) noexcept;
  attempt_result attempt_any(request& what, bool is_ready) noexcept;

  ::io_uring& ring_;
  ring_queues queues_;
  std::deque<request> requests_;  // its elements do not move; the lists of the next two hold them
  interest interest_;
  intrusive_list<request> runnable_;
  buffer_groups groups_;
  std::uint64_t calls_ = 0;
};

}  // namespace uring6::inline v0::detail
