// The driver of a ring that this process executes: it waits for readiness with epoll, and makes non-blocking calls.
// Submission entries, completions and rings of buffers are those of io_uring, in the same memory layout.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "uring/readiness/interest.hpp"
#include "uring/readiness/process_driver.hpp"
#include "uring/readiness/request.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0::detail {

class readiness_driver final : public process_driver {
 public:
  /// Makes the queues of `ring`, which must outlive the driver, and fills in `features`. EMFILE, ENFILE,
  /// not_enough_memory, or that of a sandbox; `reason` is then a sentence for a user.
  static result<std::unique_ptr<ring_driver>> create(const ring_options& options, ::io_uring& ring,
                                                     ring_features& features, std::string& reason);

  int enter(unsigned wait_for, std::optional<std::chrono::nanoseconds> timeout) noexcept override;
  std::uint64_t calls() const noexcept override { return calls_ + interest_.calls(); }

 private:
  explicit readiness_driver(::io_uring& ring) : process_driver(ring) {}

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
  attempt_result attempt_any(request& what, bool is_ready) noexcept;

  std::deque<request> requests_;  // its elements do not move; the lists of the next two hold them
  interest interest_;
  intrusive_list<request> runnable_;
};

}  // namespace uring6::inline v0::detail
