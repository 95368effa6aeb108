// The ring: operations in, completions out. The only class that submits; the loop drives it with queue, enter and reap.
// A driver behind it executes the operations: the kernel, or this process where the kernel refuses io_uring.
#pragma once

#include <liburing.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sys/socket/file_descriptor.hpp"
#include "uring/fork_guard.hpp"
#include "uring/ring_driver.hpp"
#include "uring/ring_options.hpp"
#include "uring/thread_claim.hpp"
#include "uring6/detail/operation.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0::detail {

struct ring_counters {
  std::uint64_t enters = 0;
  std::uint64_t submissions = 0;
  std::uint64_t completions = 0;
  std::uint64_t overflows = 0;
  std::uint64_t messages = 0;
};

class ring {
 public:
  /// Sets up a disabled ring with the driver of the options. `automatic` is io_uring, or readiness where the kernel or
  /// a sandbox refuses io_uring; the environment variable URING6_DRIVER overrides `automatic`. Where there is no ring
  /// that can be used, `reason` is the sentence for a user.
  static result<std::unique_ptr<ring>> create(const ring_options& options, std::string& reason);
  static result<std::unique_ptr<ring>> create(const ring_options& options);
  ring(const ring&) = delete;
  ring& operator=(const ring&) = delete;
  ~ring();

  /// Makes the calling thread the one that submits. Until then operations can be queued, not entered. Once
  /// another thread is that one: `errc::wrong_thread`; in the child of a fork `errc::forked`; `not_enough_memory`.
  std::error_code enable() noexcept;

  /// May the calling thread use the ring: is it the one that submits, or can it still become that?
  bool mine() const noexcept { return !submitter_.made() || submitter_.is_mine(); }
  bool forked() const noexcept { return fork_guard_.forked(); }
  /// Does it submit from another thread, for which the kernel still works?
  bool busy_elsewhere() const noexcept { return !forked() && submitter_.held_elsewhere(); }

  /// The operation goes to the kernel with the next enter. It must be idle. Completed with -ENOMEM by the next reap if
  /// more are in flight than ever before, and there is no memory to keep track of it.
  void queue(operation& op) noexcept;

  /// Asks the kernel to end the operation. Its last completion still comes; one that was only queued is taken
  /// back and completed with -ECANCELED by the next reap.
  void cancel(operation& op) noexcept;

  bool has_queued() const noexcept {
    return !queued_.empty() || !cancels_.empty() || !withdrawn_.empty() || !unplaced_.empty();
  }
  /// After a reap: quiet operations that the kernel has not taken yet, being short of memory, or has not told all
  /// about.
  bool has_quiet() const noexcept { return !quiet_.empty(); }
  std::size_t in_flight() const noexcept { return in_flight_; }

  /// True if an enter or a reap would find something: deferred work of the kernel, completions, an overflow. Also true
  /// if the kernel does not show deferred work.
  bool has_work() const noexcept;

  /// True if completions, shown deferred work or an overflow are there: what makes the descriptor of `notify` readable.
  bool has_news() const noexcept;

  /// As `has_work`, for a caller that asks again and again: where the driver does not show deferred work, it is let go
  /// on by an enter that does not wait.
  bool look() noexcept;

  /// True if the completion queue is empty and has not overflown.
  bool all_reaped() const noexcept;

  /// A descriptor that becomes readable when `has_news` becomes true. The first call makes it, readable.
  ///
  /// It is an epoll set of an eventfd that is registered with the ring, and of the ring. Neither is enough for work
  /// that DEFER_TASKRUN has put off: on Linux 6.18 epoll on the ring does not wake for it, and Debian's 6.12.117
  /// signals the eventfd for it only the first time.
  result<int> notify() noexcept;
  bool notifies() const noexcept { return static_cast<bool>(news_); }

  /// Makes the descriptor of `notify` readable. Precondition (asserted): `notifies`. Any thread.
  void signal_descriptor() const noexcept;

  /// Makes the descriptor of `notify` unreadable. The caller then asks `has_news`.
  ///
  /// `reregister`: operations wait for descriptors that may be eventfds. The kernel signals the ring's eventfd once for
  /// a completion that happens inside of a write to another eventfd, and never again (since Linux 6.11 it does not
  /// clear IO_EVENTFD_OP_SIGNAL_BIT) until the eventfd is registered anew.
  void drain_descriptor(bool reregister) noexcept;

  /// One system call: submits the queued operations, lets the kernel run its deferred work, and, if `wait`, sleeps
  /// until a completion comes or `timeout` has passed. An interrupted enter or an overflown ring is no error.
  std::error_code enter(bool wait, std::optional<std::chrono::nanoseconds> timeout) noexcept;

  /// As a waiting enter that sleeps for `gather` at least: it returns then if completions have come, else with the
  /// first one. A plain waiting enter if `features().min_wait` is false.
  std::error_code enter_and_gather(std::optional<std::chrono::nanoseconds> timeout,
                                   std::chrono::microseconds gather) noexcept;

  /// Ends the sleep of another thread in `other` by a message. One system call, as a write to an eventfd is, but
  /// `other` need not read an eventfd and arm that read again. False: the message was not sent, or may not have been;
  /// the caller wakes `other` in another way. IORING_OP_MSG_RING
  bool wake(const ring& other) noexcept;

  /// Delivers the completions that are there to their operations. Returns how many.
  unsigned reap() noexcept;

  /// Called when a seccomp filter forbids the ring's thread to enter it: cancels every operation, so that the kernel
  /// uses their memory no more, and delivers the completions that are there. False: the kernel may still use that
  /// memory. IORING_REGISTER_SYNC_CANCEL
  ///
  /// On a ring with DEFER_TASKRUN `enter` refuses from now on (EPERM), because operations go on inside an enter only.
  /// Two do not need one: a read of a regular file that a kernel worker has begun, and a send without a copy,
  /// whose payload the device may still read. Such a ring does not show whether it has any of them.
  bool end_kernel_access() noexcept;

  /// The calling thread cannot submit any more (a fork, another thread, `end_kernel_access`): the next reap completes
  /// every operation with -ECANCELED. The kernel never takes the entries that are left in the submission queue.
  void disown() noexcept;

  const ring_features& features() const noexcept { return features_; }
  /// System calls that the driver has made beside the enters.
  std::uint64_t driver_calls() const noexcept { return driver_->calls(); }
  const ring_counters& counters() const noexcept { return counters_; }
  ::io_uring& native() noexcept { return ring_; }
  std::uint64_t trace() const noexcept { return driver_->trace(); }  // ring_driver::trace

  /// For the pools: operations may take their buffers from this ring of buffers. Negative errno.
  int add_buffers(::io_uring_buf_reg& registration) noexcept { return driver_->add_buffers(registration); }
  void remove_buffers(std::uint16_t group) noexcept { driver_->remove_buffers(group); }

 private:
  struct slot {
    operation* op = nullptr;
    std::uint32_t generation = 1;
    bool cancel_waits = false;  // its key is in cancels_
  };

  static constexpr bool is_without_operation(std::uint64_t user_data) noexcept { return user_data >> 32 == 0; }

  ring() = default;
  void hand_over() noexcept;
  std::error_code entered(int code) noexcept;
  std::error_code check_enter() const noexcept;
  std::error_code choose_driver(const ring_options& options, std::string& reason);
  bool find_slot() noexcept;
  std::uint32_t take_slot(operation& op) noexcept;
  unsigned end_all(intrusive_list<operation>& those, int result) noexcept;
  std::uint64_t key_of(const operation& op) const noexcept;
  void deliver_last(const ::io_uring_cqe& entry) noexcept;
  unsigned deliver_run(unsigned from, unsigned tail) noexcept;
  const ::io_uring_cqe& completion_at(unsigned at) const noexcept;
  template <class F>
  void for_each_owner(unsigned from, unsigned to, F&& f) const noexcept;
  void prefetch_owners(unsigned next, unsigned tail) const noexcept;
  operation* owner_of(std::uint64_t user_data) const noexcept;
  unsigned reap_completions() noexcept;
  unsigned deliver_quiet() noexcept;
  unsigned work_to_wait_for() const noexcept;
  bool overflown() const noexcept { return __atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_CQ_OVERFLOW; }
  void release_slot(operation& op) noexcept;
  std::size_t withdraw_submissions() noexcept;

  ::io_uring ring_{};
  std::unique_ptr<ring_driver> driver_;
  bool enter_ended_ = false;  // `enter` refuses: the kernel must not go on with the operations in flight
  file_descriptor news_;      // the eventfd
  file_descriptor news_set_;  // of news_ and the ring
  fork_guard fork_guard_;
  thread_claim submitter_;
  std::size_t in_flight_ = 0;
  unsigned last_reaped_ = 0;   // completions
  unsigned last_readers_ = 0;  // at most so many operations had those with a buffer of a pool
  std::uint64_t last_octets_ = 0;
  // The other two have room for as many as there are slots: a cancel and the end of an operation allocate nothing.
  std::vector<slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  intrusive_list<operation> queued_;
  intrusive_list<operation> withdrawn_;
  intrusive_list<operation> unplaced_;  // there is no memory for another slot
  std::vector<std::uint64_t> cancels_;
  intrusive_list<operation> quiet_;
  ring_features features_;
  ring_counters counters_;
};

}  // namespace uring6::inline v0::detail
