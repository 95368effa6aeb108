// A tcp_listener's inside: the accepts that the kernel works on, the connections that have come, and the coroutines
// that wait for one.
//
// Each request accepts one connection. A multishot accept would take all that wait in the kernel before the loop could
// end it, and would not tell their peers' names, which the kernel does not know any more once a connection was reset.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <deque>
#include <memory>
#include <vector>

#include "net/socket/deadline.hpp"
#include "net/socket/owned_socket.hpp"
#include "net/socket/reservation_queue.hpp"
#include "uring6/address.hpp"
#include "uring6/detail/stream_operations.hpp"

namespace uring6::inline v0::detail {

/// A connection that no conn has yet.
struct accepted_socket {
  file_descriptor fd;
  endpoint peer;
};

class accept_queue final : public owned_socket {
 public:
  /// Accepts at most `ahead` connections that no coroutine has asked for. Takes `fd` when nothing can fail any more.
  accept_queue(std::shared_ptr<loop_core> loop, file_descriptor&& fd, std::size_t ahead);
  ~accept_queue() { close(); }

  /// May a wait begin? Errors: closed, deadline_exceeded, wrong_thread, forked. Connections that were accepted before
  /// the descriptor was released are still handed out.
  std::error_code check_wait() const noexcept;

  /// Is there a connection that is not reserved for another coroutine, and may it be taken without a suspension?
  bool at_hand() noexcept { return count_ > acceptors_.reservations() && !acceptors_.has_waiting() && loop_->spend(); }
  /// Precondition (asserted): a connection has arrived.
  accepted_socket take() noexcept;

  void wait(accept_operation& acceptor, stop_root& stop);
  /// The acceptor was resumed and takes the connection that was reserved for it.
  void resumed(accept_operation& acceptor) noexcept;
  /// The acceptor goes without taking anything: the connection that was reserved for it is the next acceptor's.
  void leave(accept_operation& acceptor) noexcept;

  void set_deadline(std::optional<clock::time_point> when) { deadline_.set(*loop_, when); }
  void close() noexcept;

  /// The kernel answers no new connection request. Those that it answers within `handshakes` are accepted; when none
  /// is left behind that, a wait ends with `closed`. Errors: EPERM (SO_LOCK_FILTER), ENOMEM. Throws std::bad_alloc;
  /// then nothing has changed.
  result<void> stop_accepting(clock::duration handshakes);

  /// The listener goes to another process: asks the kernel for nothing until `finish_handover`, after which it is as
  /// after `release`, with its descriptor closed, or `give_up_handover`. Errors: closed, also of a listener that takes
  /// no connections in any more; operation_in_progress.
  result<void> begin_handover() noexcept;
  void finish_handover() noexcept;
  void give_up_handover() noexcept;

  /// Leaves the descriptor open, to the caller. Connections that were accepted ahead stay to be taken.
  int release() noexcept;

 private:
  struct request final : operation {
    explicit request(accept_queue& in_) noexcept : in(in_) {}
    void prepare(io_uring_sqe& entry) noexcept override;
    void complete(completion what) noexcept override { in.completed(*this, what.result); }

    accept_queue& in;
    sockaddr_in6 name{};
    socklen_t name_length = 0;
    bool canceled = false;
  };

  /// The listener asks the kernel for nothing while it is armed.
  struct pause final : timer_node {
    explicit pause(accept_queue& in_) noexcept : in(in_) {}
    void expired() noexcept override { in.arm(); }

    accept_queue& in;
  };

  void completed(request& by, int result) noexcept;
  void count_batch() noexcept;
  void push(int fd, const request& by) noexcept;
  void refused(int error) noexcept;
  void loop_ends() noexcept override { close(); }
  void arm() noexcept;
  void cancel_surplus() noexcept;
  void end_accepting() noexcept;
  void end_requests() noexcept;
  void notify() noexcept;
  void fail_waiting(std::error_code why) noexcept;
  bool kernel_has_connection() const noexcept;
  bool accepts_longer() noexcept;
  void deadline_passed() noexcept;

  std::size_t ahead_;
  bool stopping_ = false;   // stop_accepting was called: the deadline is the end
  bool handing_over_ = false;
  bool last_look_ = false;  // the deadline has passed while a coroutine waited, and was put off

  std::deque<request> requests_;
  std::size_t in_flight_ = 0;     // requests that the kernel has, without those that are being canceled
  std::size_t canceling_ = 0;     // those
  std::size_t batch_ = 1;         // how many requests to queue at once
  std::uint64_t batch_turn_ = 0;  // the turn of the loop in which the first of the batch completed; 0: none has

  // A ring: in_flight_ + canceling_ + count_ never exceeds its size.
  struct arrival {
    int fd;
    endpoint peer;
  };
  std::vector<arrival> arrived_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;

  reservation_queue<accept_operation> acceptors_;
  std::size_t waiters_ = 0;  // acceptors that wait: nothing is reserved for them
  pause pause_{*this};
  std::chrono::milliseconds next_pause_;
  sticky_deadline<accept_queue, &accept_queue::deadline_passed> deadline_{*this};
};

}  // namespace uring6::inline v0::detail
