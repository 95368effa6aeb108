// A memory_socket's inside: the datagrams that wait for its readers, its deadlines, and its end.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "net/socket/deadline.hpp"
#include "net/socket/reservation_queue.hpp"
#include "runtime/loop/loop_core.hpp"
#include "uring6/address.hpp"
#include "uring6/control_message.hpp"
#include "uring6/datagram.hpp"
#include "uring6/detail/memory_operations.hpp"

namespace uring6::inline v0::detail {

class link_medium;

/// A datagram on a link or in a port. The medium owns it and uses its memory again.
struct memory_packet : list_hook {
  std::vector<std::byte> payload;
  control_message control;  // as the reader gets it
  int traffic_class = 0;
  int hop_limit = 0;
  endpoint source;
  endpoint destination;
};

class memory_port final : public resident {
 public:
  /// Joins the medium as its socket at `local`, which is free. Throws std::bad_alloc.
  memory_port(std::shared_ptr<link_medium> medium, std::shared_ptr<loop_core> loop, const endpoint& local);
  memory_port(const memory_port&) = delete;
  memory_port& operator=(const memory_port&) = delete;
  ~memory_port();

  const endpoint& local() const noexcept { return local_; }
  loop_core& loop() const noexcept { return *loop_; }
  bool closed() const noexcept { return closed_; }

  /// May the calling thread change the port? Errors: closed, wrong_thread.
  std::error_code check_thread() const noexcept;
  std::error_code check_read() const noexcept { return check(read_deadline_.passed()); }
  std::error_code check_write() const noexcept { return check(write_deadline_.passed()); }

  /// May a read take a datagram without suspension? True spends one of the turn's budget.
  bool at_hand() noexcept {
    return !unread_.empty() && !readers_.has_waiting() && !readers_.has_reservations() && loop_->spend();
  }
  /// Queues the reader until a datagram is reserved for it, or an error ends its wait.
  void wait(memory_read_operation& reader) noexcept;
  /// A reader leaves without a datagram. One that was reserved for it is reserved for the next reader.
  void leave(memory_read_operation& reader) noexcept;
  /// Copies the first datagram into the reader's buffer. Precondition (asserted): it has one.
  void take(memory_read_operation& reader, datagram& into) noexcept;

  /// Hands the datagram to the medium. Errors: as memory_socket::write_to. Precondition (asserted): `check_write`.
  std::error_code write(const write_slot& message) noexcept;

  /// The medium delivers a datagram: the port keeps it for its readers.
  void deliver(memory_packet& packet) noexcept;
  std::size_t unread() const noexcept { return unread_count_; }

  result<void> set_control(control_flags flags, bool on) noexcept;
  control_flags enabled_control() const noexcept { return enabled_; }

  /// As those of packet_socket.
  void set_deadline(std::optional<clock::time_point> when) { set_both(read_deadline_, write_deadline_, *loop_, when); }
  void set_read_deadline(std::optional<clock::time_point> when) { read_deadline_.set(*loop_, when); }
  void set_write_deadline(std::optional<clock::time_point> when) { write_deadline_.set(*loop_, when); }

  void close() noexcept;

 private:
  void loop_ends() noexcept override { close(); }
  std::error_code check(bool deadline_passed) const noexcept;
  void fail_waiting(error_slot why) noexcept;
  void wake_readers() noexcept;
  void wake(memory_read_operation& reader) noexcept;
  void read_deadline_passed() noexcept { fail_waiting(errc::deadline_exceeded); }
  void write_deadline_passed() noexcept {}  // no write waits

  std::shared_ptr<link_medium> medium_;
  std::shared_ptr<loop_core> loop_;
  endpoint local_;
  control_flags enabled_ = control_flags::none;
  bool closed_ = false;
  intrusive_list<memory_packet> unread_;
  std::size_t unread_count_ = 0;
  reservation_queue<memory_read_operation> readers_;
  sticky_deadline<memory_port, &memory_port::read_deadline_passed> read_deadline_{*this};
  sticky_deadline<memory_port, &memory_port::write_deadline_passed> write_deadline_{*this};
};

}  // namespace uring6::inline v0::detail
