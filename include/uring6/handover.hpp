// handover, take_over: a running service gives its sockets to its successor, another process, and loses nothing.
#pragma once

#include "uring6/version.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "uring6/event_loop.hpp"
#include "uring6/export.hpp"
#include "uring6/listen.hpp"
#include "uring6/packet_conn.hpp"
#include "uring6/result.hpp"
#include "uring6/task.hpp"
#include "uring6/tcp.hpp"

namespace uring6::inline v0 {

namespace detail {

class accept_queue;
class packet_socket;
struct taken_sockets;

/// A socket that is to be handed over: one of the two pointers is set.
struct offered_socket {
  std::string name;
  packet_socket* packets;
  accept_queue* connections;
};

}  // namespace detail

/// Gives conns and listeners to another process, with the datagrams that were read ahead, over `channel`: a connected
/// Unix socket of SOCK_SEQPACKET, at whose other end the successor calls `take_over`. `successor::start` makes one, and
/// starts the program; the caller keeps it open until `send` has ended.
///
///     handover all(next.channel());
///     or_throw(all.add("dns", pc));
///     const auto gone = co_await all.send();   // an error: pc works on as before
///
/// Both processes have the sockets then: options, memberships, BPF programs and what waits in the kernel belong to the
/// socket, and stay. Nothing is lost and nothing comes twice, because in each moment at most one process reads:
///
/// - `send` waits until the successor is there. Until then all works on.
/// - It stops reading, sends the descriptors and the datagrams that no reader took, in order and with their control
///   messages, and waits for `takeover::confirm`. Readers and acceptors wait meanwhile; what arrives waits in the
///   kernel, in the room of `packet_options::receive_buffer`. Writes go on.
/// - After the confirmation reads of these conns end with `errc::closed`, and writes go on, so that tasks finish the
///   answers that they are at. Then close them. Connections that a listener had accepted ahead are returned by
///   `accept`, which then ends with `errc::closed`.
/// - After an error, also because the successor has ended, refused, or said nothing within the limit, the conns go on
///   with all datagrams. The channel is used up then, and a confirmation that comes later is refused (EPIPE).
///
/// What a conn has set for its socket still acts after the hand-over: do not change options of a conn that was handed
/// over. `packet_conn::stop_receiving` of such a conn does nothing.
///
/// Use it, and the conns, on the thread of their loop. A group of loops hands the conns of each loop over by a channel
/// of its own. Linux: SCM_RIGHTS, unix(7). Go: missing (net.FilePacketConn loses what was read ahead).
class URING6_EXPORT handover {
 public:
  explicit handover(int channel) noexcept : channel_(channel) {}

  /// Adds a socket under the name by which the successor adopts it, 1 to 255 octets; several may have one name. The
  /// conn must outlive `send`; it may be moved. Errors: `errc::closed`; `errc::out_of_range` for the name, and for more
  /// than 4,096 sockets. Throws std::bad_alloc.
  result<void> add(std::string_view name, packet_conn& pc);
  result<void> add(std::string_view name, tcp_listener& listener);

  /// Hands all of them over, or none. `limit`: how long reads may rest, until the successor has confirmed; from 0 on.
  /// The wait for the successor before that has no limit: `with_timeout(10s, all.send())`. A stop request ends the
  /// hand-over with `errc::canceled`, unless the successor has confirmed already. May be called once; this object
  /// outlives it.
  ///
  /// Errors, after which nothing has changed: EBADF, ENOTSOCK, wrong_protocol_type for the channel; ENOTCONN,
  /// ECONNRESET if there is no successor, or it has ended; `std::errc::protocol_not_supported` if it takes another
  /// version of the messages; `errc::malformed` if it sends something else; what it refused with, such as EMFILE and
  /// ENOMEM; `errc::deadline_exceeded`; EMSGSIZE if net.core.wmem_default is below 104 KiB.
  ///
  /// Of the sockets: `std::errc::invalid_argument` without any; `errc::closed`, also after `stop_receiving` and
  /// `stop_accepting`; `errc::wrong_thread`; operation_in_progress if another hand-over has one;
  /// `std::errc::not_enough_memory`.
  [[nodiscard("co_await it")]] task<result<void>> send(std::chrono::milliseconds limit = std::chrono::seconds(5));

 private:
  URING6_HIDDEN result<void> add_socket(detail::offered_socket what);

  int channel_;
  bool sent_ = false;
  std::vector<detail::offered_socket> sockets_;
};

/// The sockets that a predecessor hands over, which rests until `confirm`. `take_over` makes it.
///
///     auto all = co_await take_over(channel);
///     if (!all) ...
///     auto pc = or_throw(all->adopt_packet(loop, "dns"));
///     or_throw(all->confirm());         // the predecessor has ended its reads; now read
///
/// Destroyed without `confirm`, it tells the predecessor, which goes on. Use it on one thread at a time.
class URING6_EXPORT takeover {
 public:
  takeover(takeover&&) noexcept;
  takeover& operator=(takeover&&) noexcept;
  ~takeover();

  /// The names of the sockets that were not adopted yet, in the order of `handover::add`. Throws std::bad_alloc.
  std::vector<std::string> names() const;

  /// Makes a conn of the first socket with this name. Its reads give the datagrams that the predecessor had read ahead
  /// first, then those in the socket; `packet_stats::kernel_drops` counts on from there. Do not read before `confirm`:
  /// the predecessor would have the same datagrams, if it does not come to that.
  ///
  /// `options` as of the `adopt_packet` for a socket that the caller keeps, `borrow_packet`: those of the socket stay
  /// as the predecessor set them. Errors: as of `adopt_packet`; `std::errc::invalid_argument` if there is no such
  /// socket; wrong_protocol_type if it is a listener. Then it can be adopted again.
  result<packet_conn> adopt_packet(event_loop& loop, std::string_view name, const packet_options& options = {});
  result<tcp_listener> adopt_listener(event_loop& loop, std::string_view name, const tcp_options& options = {});

  /// Closes the first socket with this name: the successor does without it. What was read ahead of it is lost.
  result<void> discard(std::string_view name);

  /// Tells the predecessor that the sockets are this process's. Errors: `std::errc::invalid_argument` if a socket was
  /// neither adopted nor discarded; EPIPE if the predecessor has kept its sockets, because its limit has passed, or has
  /// ended: then close the conns unread. `errc::closed` at a second call.
  result<void> confirm();

  /// For the library's own code.
  URING6_HIDDEN explicit takeover(std::unique_ptr<detail::taken_sockets> inside) noexcept;

 private:
  std::unique_ptr<detail::taken_sockets> inside_;
};

/// Tells the predecessor at the other end of `channel` that this process is ready, and waits for its sockets. The
/// result owns `channel`, which is closed also after an error. `successor::start` gives it to the new process, where
/// `listen_inherited` has it under the name "handover".
///
/// Errors: EBADF, ENOTSOCK, wrong_protocol_type for the channel; ENOTCONN, ECONNRESET if there is no predecessor, or it
/// has ended; what it refused with; `std::errc::protocol_not_supported` if it sends another version of the messages;
/// `errc::malformed` for anything that is no message; EMFILE if this process can take no descriptor (RLIMIT_NOFILE);
/// `std::errc::not_enough_memory`; `errc::canceled`. The predecessor is told the reason, and goes on with its sockets.
[[nodiscard("co_await it")]] URING6_EXPORT task<result<takeover>> take_over(int channel);

}  // namespace uring6::inline v0
