// What executes the operations of a ring: the kernel (io_uring), or this process by readiness (epoll and non-blocking
// calls). The ring fills the submission queue and reaps the completion queue of one ::io_uring; it does not know which
// driver stands behind them.
#pragma once

#include <liburing.h>

#include <chrono>
#include <cstdint>
#include <optional>

namespace uring6::inline v0::detail {

struct ring_features;

/// Functions that return int: 0 or more, or the negative errno. The ring calls them on the thread that submits, unless
/// a comment says otherwise.
class ring_driver {
 public:
  ring_driver() = default;
  ring_driver(const ring_driver&) = delete;
  ring_driver& operator=(const ring_driver&) = delete;

  /// Ends the operations in flight, and frees the queues.
  virtual ~ring_driver() = default;

  /// Instead of the work of the destructor, in the child of a fork: closes this process's descriptors only, because the
  /// queues are the parent's.
  virtual void leave_to_parent() noexcept = 0;

  /// Makes the calling thread the one that submits, and notes in `features` what depends on the thread.
  virtual int enable(ring_features& features) noexcept = 0;

  /// Takes the entries of the submission queue, lets operations go on, and posts completions. With `wait_for` above 0
  /// it sleeps until a completion is there or the timeout has passed. A driver with `ring_features::counts_pieces`
  /// sleeps for as many pieces of work.
  virtual int enter(unsigned wait_for, std::optional<std::chrono::nanoseconds> timeout) noexcept = 0;

  /// As `enter` that waits, and sleeps for `gather` at least. Precondition: `ring_features::min_wait`.
  virtual int enter_and_gather(std::chrono::nanoseconds timeout, std::chrono::microseconds gather) noexcept = 0;

  /// Operations may take their buffers from this ring of buffers (IORING_REGISTER_PBUF_RING), until it is removed.
  virtual int add_buffers(::io_uring_buf_reg& registration) noexcept = 0;
  virtual void remove_buffers(std::uint16_t group) noexcept = 0;

  /// The eventfd becomes readable when a completion is posted outside of an enter. A second call repairs what the first
  /// one set up.
  virtual int signal_by(int eventfd) noexcept = 0;

  /// Ends the sleep of the thread that enters the ring with this descriptor. False: the message was not sent, or may
  /// not have been. Preconditions: `ring_features::messages`; the submission queue is empty (asserted).
  virtual bool wake(int other_ring) noexcept = 0;

  /// System calls that executed operations outside of the kernel's ring, since the driver was made.
  virtual std::uint64_t calls() const noexcept { return 0; }

  /// Cancels every operation, so that the memory that they name is used no more. Their completions may come later.
  virtual void cancel_all() noexcept = 0;

  /// A number that two drivers share only if they did the same, step by step, for tests; 0: the driver keeps none.
  virtual std::uint64_t trace() const noexcept { return 0; }
};

}  // namespace uring6::inline v0::detail
