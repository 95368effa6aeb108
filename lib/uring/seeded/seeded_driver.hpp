// The driver of a ring that behaves as badly as a kernel may: it executes operations as the readiness driver does, and
// one seed chooses when, in which order and how far. For tests: URING6_DRIVER=seed:N.
#pragma once

#include <poll.h>
#include <sys/uio.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "sys/socket/file_descriptor.hpp"
#include "uring/readiness/process_driver.hpp"
#include "uring/readiness/request.hpp"
#include "uring/seeded/schedule.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0::detail {

/// What the seed chooses, and why a kernel may do it:
/// - A submission is taken short, or not at all (EAGAIN, EBUSY): there was no memory for a request.
/// - Operations that wait go on in any order, and some not in this enter: deferred work has no order between sockets.
/// - An armed read ends after any datagram, with the datagram or with EINTR: a full completion queue, a signal. It ends
///   with ENOBUFS only if there is no buffer.
/// - Accepts, reads, writes, receives and parked sends end with EINTR; a stream moves a part.
/// - A quiet send finds no room (EAGAIN).
/// - The notification of a send without a copy comes enters after its result, and says either of both: the kernel has
///   copied, or not. Such a send ends with ENOMEM, ENOBUFS or EAGAIN. The payload must not change before the
///   notification (asserted).
/// - A cancel is carried out enters later; its operation may have gone on or ended before.
/// - A completion that ends an operation is posted behind those of armed reads of the same enter, where the ring's
///   completions have no order (before Linux 6.2).
/// - A wait ends without a completion.
/// - A full completion queue overflows: completions are kept, and IORING_SQ_CQ_OVERFLOW is shown.
///
/// What it never does, because a ring with DEFER_TASKRUN does not: keep a completion back when the enter that took its
/// datagram, its buffer or its quiet send returns; report an operation as canceled that was not; lose anything.
///
/// Without memory for what it keeps back the program ends.
///
/// Sockets are real. The same operations on the same sockets make the same trace, if no other thread and no clock takes
/// part.
class seeded_driver final : public process_driver {
 public:
  /// Makes the queues of `ring`, which must outlive the driver, and fills in `features`: those of a loop by readiness.
  /// not_enough_memory; `reason` is then a sentence for a user.
  static result<std::unique_ptr<ring_driver>> create(std::uint64_t seed, const ring_options& options, ::io_uring& ring,
                                                     ring_features& features, std::string& reason);

  int enter(unsigned wait_for, std::optional<std::chrono::nanoseconds> timeout) noexcept override;
  std::uint64_t calls() const noexcept override { return calls_; }
  std::uint64_t trace() const noexcept override { return digest_.value(); }

 private:
  /// An operation and what only this driver needs to know of it.
  struct seeded_request : request {
    bool in_flight = false;
    bool tried = false;     // an attempt was made
    bool notifies = false;  // a send without a copy, of which only the notification is left
    std::vector<iovec> payload{};
    std::uint64_t payload_digest = 0;
  };

  /// Completions of one enter that are posted when it ends, or that found no room.
  struct kept_completion {
    std::uint64_t user_data;
    std::int32_t result;
    std::uint32_t flags;
  };

  /// One step of a round: an operation goes on, or a cancel is carried out.
  struct step {
    bool cancels;
    std::uint64_t user_data;
  };

  seeded_driver(std::uint64_t seed, ::io_uring& ring) noexcept : process_driver(ring), choices_(seed) {}

  int submit() noexcept;
  void start(const ::io_uring_sqe& entry) noexcept;
  bool refuses_quiet(const request& what) noexcept;
  void start_without_copy(seeded_request& what) noexcept;
  void notify(seeded_request& what) noexcept;
  void run_round() noexcept;
  void sleep(std::optional<std::chrono::nanoseconds> timeout) noexcept;
  void carry_out_cancel(std::uint64_t user_data) noexcept;
  void go_on(seeded_request& what) noexcept;
  bool attempt_once(seeded_request& what) noexcept;
  bool is_interrupted(const request& what) noexcept;
  attempt_result attempt_any(seeded_request& what) noexcept;
  attempt_result attempt_part(seeded_request& what) noexcept;
  attempt_result attempt_armed_read(seeded_request& what, buffer_group& group) noexcept;
  void finish(seeded_request& what, const attempt_result& how) noexcept;
  void post(std::uint64_t user_data, std::int32_t result, std::uint32_t flags) noexcept;
  void post_ends() noexcept;
  void flush_overflow() noexcept;
  seeded_request* find(std::uint64_t user_data) noexcept;

  schedule choices_;
  trace_digest digest_;
  unsigned laziness_ = 1;  // an operation goes on in one of so many rounds
  bool ordered_ = true;    // completions are posted in the order in which the operations end
  std::deque<seeded_request> requests_;
  std::vector<std::uint64_t> cancels_;  // the operations that shall end
  std::deque<kept_completion> ends_;    // of this enter, if not ordered_
  std::deque<kept_completion> overflow_;
  std::vector<step> round_;  // these two are of one enter
  std::vector<pollfd> descriptors_;
  file_descriptor news_;  // an eventfd that is always readable
};

}  // namespace uring6::inline v0::detail
