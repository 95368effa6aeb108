// A tcp_conn's inside: the descriptor, the reads and writes in line, the deadlines, and the orderly end.
#pragma once

#include <cassert>
#include <memory>
#include <vector>

#include "net/socket/deadline.hpp"
#include "net/socket/owned_socket.hpp"
#include "net/tcp/kept_octets.hpp"
#include "uring6/address.hpp"
#include "uring6/detail/stream_operations.hpp"
#include "uring6/tcp.hpp"

namespace uring6::inline v0::detail {

class stream_socket final : public owned_socket {
 public:
  /// Takes `fd` when nothing can fail any more.
  stream_socket(std::shared_ptr<loop_core> loop, file_descriptor&& fd, const endpoint& peer) noexcept;
  ~stream_socket() { close(); }

  const endpoint& peer() const noexcept { return peer_; }
  std::uint64_t received() const noexcept { return received_; }
  std::uint64_t sent() const noexcept { return sent_; }

  /// Queues an operation behind those that began before. It will be resumed.
  void start(stream_operation& op, stop_root& stop);

  /// Completes a read from the kept octets, or with the error of a gap, without a suspension. False: the read has to
  /// wait.
  bool take_kept(stream_operation& op) noexcept;

  /// Do operations wait, or have they a result that their coroutines have not seen? This one would wait behind them.
  bool has_waiting(const stream_operation& op) noexcept { return !queue_of(op).empty(); }

  /// May the operation begin? Errors: closed, deadline_exceeded, wrong_thread, forked.
  std::error_code check_start(const stream_operation& op) const noexcept {
    return check(op.reads() ? read_deadline_.passed() : write_deadline_.passed());
  }

  // Called by the operation: when the kernel has completed it, when a stop is requested, when it has been resumed, and
  // when its frame is being destroyed.
  void on_completion(stream_operation& op, completion what) noexcept;
  void stop(stream_operation& op) noexcept;
  void remove(stream_operation& op) noexcept;
  void cancel_and_wait(stream_operation& op) noexcept;

  /// Throws std::bad_alloc, and then keeps both old deadlines.
  void set_deadline(std::optional<clock::time_point> when) { set_both(read_deadline_, write_deadline_, *loop_, when); }
  void set_read_deadline(std::optional<clock::time_point> when) { read_deadline_.set(*loop_, when); }
  void set_write_deadline(std::optional<clock::time_point> when) { write_deadline_.set(*loop_, when); }

  void close() noexcept;

  /// As close, but the connection goes on, and the caller gets all octets that no read has taken. not_enough_memory:
  /// octets were lost before; the connection stays open, and its operations go on. If a stopped read loses its octets
  /// during this call, the operations have ended, the deadlines are off, and the connection stays open.
  result<released_tcp> release() noexcept;

  /// Takes over what another owner's `release` returned. Precondition (asserted): no read has begun.
  void begin_with(std::vector<std::byte> unread, std::error_code error) noexcept;

  /// Gives a connection to a socket that was made without one. Precondition (asserted): it has none.
  void begin_with(file_descriptor&& fd, const endpoint& peer) noexcept {
    assert(closed() && fd);
    assert(readers_.empty() && writers_.empty());
    fd_ = std::move(fd);
    peer_ = peer;
  }

 private:
  // Of each queue the kernel has the first operation only. It stays the first until its coroutine has resumed, so that
  // octets that it got and did not take go to the next one.
  using operation_queue = intrusive_list<stream_operation, waiting_hook>;

  operation_queue& queue_of(const stream_operation& op) noexcept { return op.reads() ? readers_ : writers_; }
  bool is_first(stream_operation& op) noexcept { return &queue_of(op).front() == &op; }
  void submit(stream_operation& op) noexcept;
  void finish(stream_operation& op) noexcept;
  void cancel(stream_operation& op, std::error_code why) noexcept;
  bool try_to_keep(const stream_operation& op) noexcept;
  void keep_octets(stream_operation& op) noexcept;
  void take_result_away(stream_operation& op) noexcept;
  void note_error(int number) noexcept;
  void fail_waiting(operation_queue& operations, std::error_code why) noexcept;
  void end_operations(bool for_release) noexcept;
  void loop_ends() noexcept override { close(); }
  void read_deadline_passed() noexcept { fail_waiting(readers_, errc::deadline_exceeded); }
  void write_deadline_passed() noexcept { fail_waiting(writers_, errc::deadline_exceeded); }

  endpoint peer_;
  operation_queue readers_;
  operation_queue writers_;
  kept_octets kept_;         // octets of a read that was stopped or destroyed
  error_slot unread_error_;  // the connection's error, which the kernel reports once, and which no read has returned
  bool has_gap_ = false;     // octets were lost for lack of memory: every read fails
  std::uint64_t received_ = 0;
  std::uint64_t sent_ = 0;
  sticky_deadline<stream_socket, &stream_socket::read_deadline_passed> read_deadline_{*this};
  sticky_deadline<stream_socket, &stream_socket::write_deadline_passed> write_deadline_{*this};
};

}  // namespace uring6::inline v0::detail
