// A packet_conn's inside: the descriptor, the reading and the writing half, the deadlines, and the orderly end.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "net/receive/receiver.hpp"
#include "net/send/sender.hpp"
#include "net/socket/deadline.hpp"
#include "net/socket/owned_socket.hpp"
#include "sys/socket/dual_options.hpp"
#include "uring/cache.hpp"
#include "uring6/released_packet.hpp"

namespace uring6::inline v0::detail {

/// What was asked of a socket before it came here.
struct asked_already {
  control_flags control = control_flags::none;
  bool error_reports = false;
};

/// Asks the kernel for it. Errors: those of getsockopt(2).
result<asked_already> what_was_asked(int fd, bool dual_stack) noexcept;

struct packet_socket_options {
  bool connected = false;
  bool payload_alone = false;  // connected, and no trains: unless control messages are wanted, its payloads are all
                               // that there is to know
  bool dual_stack = false;
  asked_already asked{};         // of a socket that another program has opened
  std::uint32_t drops_seen = 0;  // the kernel's count of drops that are not the conn's
  buffer_class receive_class = buffer_class::large;
  sender::options send;
};

class alignas(cache_line) packet_socket final : public owned_socket {
 public:
  /// Takes `fd` when nothing can fail any more.
  packet_socket(std::shared_ptr<loop_core> loop, file_descriptor&& fd, const packet_socket_options& options);
  ~packet_socket();

  bool connected() const noexcept { return connected_; }
  /// Which families its options are to act for.
  families speaks() const noexcept { return dual_stack_ ? families::both : families::v6; }
  /// Of a connected one, as it was given.
  const endpoint& peer() const noexcept { return sender_.peer(); }
  receiver& reading() noexcept { return receiver_; }
  sender& writing() noexcept { return sender_; }

  /// May a read (a write) begin? If not: closed, deadline_exceeded, or the wrong thread.
  bool may_read() const noexcept { return receiver_.may_read(); }
  bool may_write() const noexcept { return !closed() && !write_deadline_.passed() && loop_->runs_here(); }
  std::error_code check_read() const noexcept { return check(read_deadline_.passed()); }
  std::error_code check_write() const noexcept { return check(write_deadline_.passed()); }

  /// Sticky, as Go has them: for the operations that wait and all that come, until set anew. None: no deadline.
  /// Throw std::bad_alloc, and change none then.
  void set_deadline(std::optional<clock::time_point> when);
  void set_read_deadline(std::optional<clock::time_point> when);
  void set_write_deadline(std::optional<clock::time_point> when);

  /// Ends all waiting operations with `closed`, waits for the kernel's last completion, and frees the port.
  void close() noexcept;

  /// As close, but gives the open descriptor and the backlog to the caller. Errors: closed, forked; not_enough_memory,
  /// and nothing has changed.
  result<released_packet> release() noexcept;

  // The socket goes to another process, which shares it from then on (`receiver::begin_handover` has the steps).

  /// Errors: closed, also of a socket that receives nothing any more; operation_in_progress.
  result<void> begin_handover() noexcept;
  /// What the other process gets. The descriptor stays this object's, which still writes after `finish_handover`.
  /// Errors: closed; not_enough_memory, and nothing has changed.
  result<released_packet> offer() noexcept;
  void finish_handover() noexcept;
  void give_up_handover() noexcept;

  /// Takes in what another conn had read ahead, before the first read. no_buffer_space, not_enough_memory: nothing was
  /// taken.
  result<void> take_in(std::span<const kept_datagram> datagrams) noexcept { return receiver_.take_in_kept(datagrams); }

  /// The kernel delivers no further datagram here: a UDP socket that shares its port leaves its group; for any other
  /// one the kernel drops what arrives. Datagrams that the kernel is delivering on another CPU at this moment still
  /// come in. Errors: those of `leave_reuse_port_group`, `end_arrivals`.
  result<void> leave_port() noexcept;

  /// Was the socket bound to a wildcard address and has left its group? The kernel would then send from the address
  /// that the socket got when it left.
  bool names_sources() const noexcept { return names_sources_; }
  /// Names the source of each message that has none: the address that the kernel would have chosen before.
  void name_sources(std::span<write_slot> messages) noexcept;

  /// As close, of a socket that was never read from: the descriptor is the caller's again.
  void give_up_descriptor() noexcept;

  /// How many datagrams the kernel has thrown away here since this object was made: a system call, unless closed.
  std::uint64_t drops() noexcept;

  /// Asks the kernel for these control messages, of IPv6 and, on a dual-stack socket, of IPv4 peers.
  result<void> set_control(control_flags flags, bool on) noexcept;
  control_flags enabled_control() const noexcept { return enabled_; }

  /// Asks it to keep reports of errors, of both families on a dual-stack socket.
  result<void> set_error_reports(bool on) noexcept;

 private:
  void loop_ends() noexcept override { close(); }
  result<void> ask_for(control_flags flags, bool on) noexcept;
  void use_enabled_control() noexcept;
  void leave_errors_to_reader(bool reports) noexcept;
  void end_operations() noexcept;
  void read_deadline_passed() noexcept {
    receiver_.admit(false);
    receiver_.fail_waiting(errc::deadline_exceeded);
  }
  void write_deadline_passed() noexcept { sender_.fail_waiting(errc::deadline_exceeded); }

  bool connected_;
  bool payload_alone_;
  bool dual_stack_;
  bool names_sources_ = false;
  control_flags enabled_ = control_flags::none;
  std::uint32_t drops_seen_;  // the kernel's own count, when it was last asked for
  std::uint64_t drops_ = 0;   // counted in 64 bits, as often as it is asked for
  sticky_deadline<packet_socket, &packet_socket::read_deadline_passed> read_deadline_{*this};
  sticky_deadline<packet_socket, &packet_socket::write_deadline_passed> write_deadline_{*this};
  receiver receiver_;
  sender sender_;
};

}  // namespace uring6::inline v0::detail
