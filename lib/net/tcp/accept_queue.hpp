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
#include "runtime/loop/loop_core.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "uring6/address.hpp"
#include "uring6/detail/stream_operations.hpp"

namespace uring6::detail {

/// A connection that no conn has yet.
struct accepted_socket {
  file_descriptor fd;
  endpoint peer;
};

class accept_queue final : public resident {
 public:
  /// Accepts at most `ahead` connections that no coroutine has asked for. Takes `fd` when nothing can fail any more.
  accept_queue(std::shared_ptr<loop_core> loop, file_descriptor&& fd, std::size_t ahead);
  ~accept_queue() { close(); }

  int fd() const noexcept { return fd_.get(); }
  bool closed() const noexcept { return fd_.get() < 0; }
  const std::shared_ptr<loop_core>& loop() const noexcept { return loop_; }

  /// May a wait begin? closed, deadline_exceeded or the wrong thread.
  std::error_code check() const noexcept;

  /// Is there a connection that is not promised to another coroutine, and may it be taken without a suspension?
  bool at_hand() noexcept { return count_ > served_ && waiting_.empty() && loop_->spend(); }
  /// Precondition: there is a connection.
  accepted_socket take() noexcept;

  void wait(accept_operation& who, stop_root& stop);
  /// It has been resumed, and takes what was kept for it.
  void resumed(accept_operation& who) noexcept;
  /// It goes without taking anything: what was kept for it is the next one's.
  void leave(accept_operation& who) noexcept;

  std::error_code check_thread() const noexcept;
  void set_deadline(std::optional<clock::time_point> when) { deadline_.set(*loop_, when); }
  void close() noexcept;

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
  void notify() noexcept;
  void fail_waiting(std::error_code why) noexcept;
  void deadline_passed() noexcept { fail_waiting(errc::deadline_exceeded); }

  std::shared_ptr<loop_core> loop_;
  file_descriptor fd_;
  std::size_t ahead_;

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

  intrusive_list<accept_operation, waiting_hook> waiting_;
  intrusive_list<accept_operation, waiting_hook> promised_;
  std::size_t waiters_ = 0;  // in waiting_
  std::size_t served_ = 0;   // in promised_: a connection is kept for each
  pause pause_{*this};
  std::chrono::milliseconds next_pause_;
  sticky_deadline<accept_queue, &accept_queue::deadline_passed> deadline_{*this};
};

}  // namespace uring6::detail
