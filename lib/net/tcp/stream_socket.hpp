// A tcp_conn's inside: the descriptor, the reads and writes in line, the deadlines, and the orderly end.
#pragma once

#include <memory>
#include <vector>

#include "net/socket/deadline.hpp"
#include "net/socket/owned_socket.hpp"
#include "net/tcp/kept_octets.hpp"
#include "uring6/address.hpp"
#include "uring6/detail/stream_operations.hpp"
#include "uring6/tcp.hpp"

namespace uring6::detail {

class stream_socket final : public owned_socket {
 public:
  /// Takes `fd` when nothing can fail any more.
  stream_socket(std::shared_ptr<loop_core> loop, file_descriptor&& fd, const endpoint& peer) noexcept;
  ~stream_socket() { close(); }

  const endpoint& peer() const noexcept { return peer_; }
  std::uint64_t received() const noexcept { return received_; }
  std::uint64_t sent() const noexcept { return sent_; }

  /// The operation stands in line from now on, and will be resumed.
  void start(stream_operation& op, stop_root& stop);

  /// Serves a read from the kept octets without a suspension; false if it has to wait.
  bool take_kept(stream_operation& op) noexcept;

  /// May one begin? closed, deadline_exceeded or the wrong thread.
  std::error_code check_start(const stream_operation& op) const noexcept {
    return check(op.reads() ? read_deadline_.passed() : write_deadline_.passed());
  }

  /// Called by the operation: the kernel has completed it; a stop was requested; it has been resumed; its frame is
  /// being destroyed.
  void ended(stream_operation& op, completion what) noexcept;
  void stop(stream_operation& op) noexcept;
  void leave(stream_operation& op) noexcept;
  void abandon(stream_operation& op) noexcept;

  /// Throws std::bad_alloc: then both are as they were.
  void set_deadline(std::optional<clock::time_point> when) { set_both(read_deadline_, write_deadline_, *loop_, when); }
  void set_read_deadline(std::optional<clock::time_point> when) { read_deadline_.set(*loop_, when); }
  void set_write_deadline(std::optional<clock::time_point> when) { write_deadline_.set(*loop_, when); }

  void close() noexcept;

  /// As close, but the connection goes on: nothing that was read is lost. not_enough_memory if it was: then it stays
  /// open, and operations go on. And what its next owner begins with.
  result<released_tcp> release() noexcept;
  void begin_with(std::vector<std::byte> unread, std::error_code error) noexcept;

  /// Of one that was made without a connection.
  void begin_with(file_descriptor&& fd, const endpoint& peer) noexcept {
    fd_ = std::move(fd);
    peer_ = peer;
  }

 private:
  // Only the first in line is the kernel's; it stays the first until it has been resumed, so that what it got and did
  // not take can be given to the next one.
  using line = intrusive_list<stream_operation, waiting_hook>;

  line& line_of(const stream_operation& op) noexcept { return op.reads() ? readers_ : writers_; }
  bool first(stream_operation& op) noexcept { return &line_of(op).front() == &op; }
  void go(stream_operation& op) noexcept;
  void finish(stream_operation& op) noexcept;
  void withdraw(stream_operation& op, std::error_code why) noexcept;
  bool keep(const stream_operation& op) noexcept;
  void give_back(stream_operation& op) noexcept;
  void withhold(stream_operation& op) noexcept;
  void note_error(int number) noexcept;
  void fail_waiting(line& those, std::error_code why) noexcept;
  void end_operations(bool for_release) noexcept;
  void loop_ends() noexcept override { close(); }
  void read_deadline_passed() noexcept { fail_waiting(readers_, errc::deadline_exceeded); }
  void write_deadline_passed() noexcept { fail_waiting(writers_, errc::deadline_exceeded); }

  endpoint peer_;
  line readers_;
  line writers_;
  kept_octets kept_;         // taken from the kernel for a read that was stopped or destroyed
  error_slot unread_error_;  // of the connection, taken from the kernel, which says it once; no read was told it
  bool has_gap_ = false;     // there was no memory to keep octets: no read can go on
  std::uint64_t received_ = 0;
  std::uint64_t sent_ = 0;
  sticky_deadline<stream_socket, &stream_socket::read_deadline_passed> read_deadline_{*this};
  sticky_deadline<stream_socket, &stream_socket::write_deadline_passed> write_deadline_{*this};
};

}  // namespace uring6::detail
