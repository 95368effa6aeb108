// The ring: operations in, completions out. The only class that submits to the kernel; the loop drives it with
// queue, enter and reap, which is also all that another driver (readiness, simulation) would have to offer.
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
#include "uring/thread_claim.hpp"
#include "uring6/detail/operation.hpp"
#include "uring6/result.hpp"

namespace uring6::detail {

struct ring_options {
  unsigned submission_entries = 256;
  unsigned completion_entries = 4096;
  bool min_wait = false;                   // waits with a time to gather completions are wanted
  std::chrono::microseconds busy_poll{0};  // IORING_REGISTER_NAPI
};

/// What was asked of the kernel, what it gave, and why not more: for probe().
struct ring_features {
  std::uint32_t setup_flags = 0;
  std::uint32_t kernel_features = 0;
  unsigned submission_entries = 0;
  unsigned completion_entries = 0;
  bool registered_fd = false;
  bool messages = false;             // rings can be woken by messages (IORING_OP_MSG_RING)
  bool min_wait = false;             // asked for, and the kernel has it
  bool busy_poll = false;            // the same
  bool zero_copy_send = false;       // SENDMSG_ZC
  bool ordered_completions = false;  // as `completions_keep_order` says; false where it could not be tried
  std::vector<std::string> refused;
};

struct ring_counters {
  std::uint64_t enters = 0;
  std::uint64_t submissions = 0;
  std::uint64_t completions = 0;
  std::uint64_t overflows = 0;
  std::uint64_t messages = 0;
};

class ring {
 public:
  /// Sets up a disabled ring by a ladder of flags, plainer at each refusal. Where there is none that can be used,
  /// `reason` is the sentence for a user (explain_setup_failure, explain_use_failure).
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

  /// True if an enter would find something: work the kernel deferred to it, completions, an overflow.
  bool has_work() const noexcept;

  /// The same without the doubt: what would have been told by the descriptor of `notify`.
  bool has_news() const noexcept;

  /// Has everything been reaped that the kernel has told of?
  bool all_reaped() const noexcept;

  /// A descriptor that becomes readable when there is something to find; readable from the first call on, which makes
  /// it. An epoll set of two: an eventfd that is registered with the ring, and the ring itself. Neither is enough for
  /// work that DEFER_TASKRUN has put off: epoll on the ring does not wake for it on Linux 6.18, and the eventfd is not
  /// signalled for it on Debian's 6.12.117, but for the first time.
  result<int> notify() noexcept;
  bool notifies() const noexcept { return static_cast<bool>(news_); }

  /// The same by hand. Any thread.
  void tell() const noexcept;

  /// Takes back what has been told; to be followed by a look at `has_news`. `renew` if the ring waits for descriptors
  /// that may be eventfds: what completes inside of a write to one of them is told once, and then never again (since
  /// Linux 6.11 IO_EVENTFD_OP_SIGNAL_BIT is not cleared), but after a new registration.
  void heard(bool renew) noexcept;

  /// One system call: hands over what is queued, lets the kernel run its deferred work, and, if `wait`, sleeps
  /// until a completion or until `timeout` has passed. An interrupted or overfull ring is not an error.
  std::error_code enter(bool wait, std::optional<std::chrono::nanoseconds> timeout) noexcept;

  /// As a waiting enter, but once it sleeps it lets completions gather for `gather`, then takes what is there, and
  /// sleeps on for the first one if there is none. Just an enter where `features().min_wait` is false.
  std::error_code enter_and_gather(std::optional<std::chrono::nanoseconds> timeout,
                                   std::chrono::microseconds gather) noexcept;

  /// Ends the sleep of `other`, which another thread is in, by a message to it, at once: one system call, as a write
  /// to an eventfd that `other` reads would be, but nothing is read there and armed again. False if the message did
  /// not go, or may not have gone: then it is to be woken in another way. IORING_OP_MSG_RING
  bool wake(const ring& other) noexcept;

  /// Delivers the completions that are there to their operations. Returns how many.
  unsigned reap() noexcept;

  /// For a ring that the kernel lets its own thread enter no more: makes sure that the kernel touches the memory of no
  /// operation any more, and delivers what it had completed. False if it still may. IORING_REGISTER_SYNC_CANCEL
  ///
  /// Where the kernel refuses that, too, a ring with DEFER_TASKRUN is safe all the same: what its reads and writes wait
  /// for they do in an enter of their thread, and there is none, because from now on `enter` refuses.
  bool call_back() noexcept;

  /// The kernel takes no more orders from here (a fork, another thread, `call_back`): with the next reap every
  /// operation is over for its owner, with -ECANCELED. What the kernel has not taken from the submission queue it never
  /// does.
  void disown() noexcept;

  const ring_features& features() const noexcept { return features_; }
  const ring_counters& counters() const noexcept { return counters_; }
  ::io_uring& native() noexcept { return ring_; }

 private:
  struct slot {
    operation* op = nullptr;
    std::uint32_t generation = 1;
    bool cancel_waits = false;  // its key is in cancels_
  };

  ring() = default;
  void hand_over() noexcept;
  std::error_code entered(int code) noexcept;
  int submit_and_gather(std::chrono::nanoseconds timeout, std::chrono::microseconds gather) noexcept;
  void register_busy_poll() noexcept;
  bool find_slot() noexcept;
  std::uint32_t take_slot(operation& op) noexcept;
  unsigned end_all(intrusive_list<operation>& those, int result) noexcept;
  std::uint64_t key_of(const operation& op) const noexcept;
  void deliver_last(const ::io_uring_cqe& entry) noexcept;
  unsigned deliver_run(unsigned from, unsigned tail) noexcept;
  const ::io_uring_cqe& completion_at(unsigned at) const noexcept;
  template <class F>
  void for_each_owner(unsigned from, unsigned to, F&& f) const noexcept;
  void look_ahead(unsigned next, unsigned tail) const noexcept;
  operation* owner_of(std::uint64_t user_data) const noexcept;
  unsigned reap_completions() noexcept;
  unsigned deliver_quiet() noexcept;
  unsigned backlog() const noexcept;
  bool overflown() const noexcept;
  void release_slot(operation& op) noexcept;
  void withdraw_submissions() noexcept;

  ::io_uring ring_{};
  bool set_up_ = false;
  bool called_back_ = false;  // operations may be in flight that the kernel must not go on with
  file_descriptor news_;      // the eventfd
  file_descriptor news_set_;  // of news_ and the ring
  fork_guard fork_guard_;
  std::chrono::microseconds busy_poll_{0};
  thread_claim submitter_;
  std::size_t in_flight_ = 0;
  unsigned last_reaped_ = 0;      // completions
  unsigned last_operations_ = 0;  // at most so many had them
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

}  // namespace uring6::detail
