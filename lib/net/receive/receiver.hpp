// The reading half of a packet_conn, made of three parts: the source fills buffers; the backlog keeps them until
// readers take their datagrams; the reservation queue has the coroutines that wait, in the order in which they came.
// The receiver joins them: it reserves arrived datagrams for waiting readers, and cancels the source's read when no
// reader comes.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "net/receive/receive_backlog.hpp"
#include "net/receive/receive_source.hpp"
#include "net/socket/reservation_queue.hpp"
#include "runtime/loop/loop_core.hpp"
#include "uring6/datagram.hpp"
#include "uring6/detail/open_train.hpp"
#include "uring6/detail/packet_operations.hpp"
#include "uring6/detail/received_piece.hpp"
#include "uring6/error_report.hpp"
#include "uring6/released_packet.hpp"

namespace uring6::inline v0::detail {

struct receive_counters {
  std::uint64_t datagrams = 0;  // that readers took
  std::uint64_t bytes = 0;      // of payload, as sent
  std::uint64_t buffers = 0;    // that the source filled
  std::uint64_t errors = 0;     // errors of the socket (ICMP)
  std::uint64_t discarded = 0;  // datagrams that were received and thrown away
  receive_source::counters source;
};

class receiver final : train_owner {
 public:
  receiver(loop_core& loop, int fd) noexcept;
  receiver(const receiver&) = delete;
  receiver& operator=(const receiver&) = delete;
  ~receiver();

  receive_source& source() noexcept { return source_; }

  /// False while the conn is closed or its read deadline has passed: no read may begin.
  void admit(bool reads) noexcept { admits_ = reads; }
  bool may_read() const noexcept { return admits_ && loop_.runs_here(); }

  /// No datagram comes into the socket any more: from now on a read that finds none ends, after one turn of the loop in
  /// which the kernel delivers what it has, with `errc::closed`.
  void finish() noexcept;
  bool finishing() const noexcept { return finishing_; }

  /// Why a read that waited for one turn of the loop has nothing: resource_unavailable_try_again, or `errc::closed` if
  /// there will never be more.
  std::error_code nothing_came() const noexcept;

  /// Queues a coroutine until a datagram is reserved for it, or an error ends its wait; then it is resumed.
  void wait(read_waiter& reader, std::coroutine_handle<> handle, stop_root& stop);

  /// A resumed reader takes the datagram that was reserved for it: the caller calls `take` (or `lend`, `take_some`)
  /// next.
  void resumed(read_waiter& reader) noexcept {
    assert(reader.state_ == read_waiter::state::reserved && "no datagram is kept for this reader");
    readers_.remove(reader);
  }

  /// A reader leaves without a datagram. One that was reserved for it is reserved for the next reader.
  void leave(read_waiter& reader) noexcept;

  /// Ends the wait of every reader without a reservation with this error.
  void fail_waiting(std::error_code error) noexcept;

  /// May a read take a datagram without suspension? The backlog has one, no other reader waits or has a reservation,
  /// and the turn's budget is not used up. True spends one of the budget.
  bool at_hand() noexcept {
    this_threads_train.close();
    return !backlog_.empty() && !readers_.has_reservations() && !readers_.has_waiting() && loop_.spend();
  }

  /// Copies the first datagram of the backlog into the caller's buffer. Precondition (asserted): the backlog is not
  /// empty. A reader that was resumed for it then calls `wake_next`.
  received_piece take(std::span<std::byte> into) noexcept { return backlog_.take(into, source_.pool()); }

  /// Called after a read without suspension. If the first buffer has a train, opens it: the thread's next reads of this
  /// conn take from it without a call, as many as the turn's budget allows.
  void open_train_of(const packet_socket& socket) noexcept {
    const std::uint32_t equal = backlog_.equal_datagrams();
    if (equal == 0) return;
    assert(!this_threads_train.of && "`at_hand` has closed the open train");
    this_threads_train.of = &socket;
    this_threads_train.owner = this;
    backlog_.open(this_threads_train, loop_.spend(equal));
  }

  /// Reserves the next datagrams for the readers that wait, and wakes these readers.
  void wake_next() noexcept {
    if (readers_.has_waiting()) wake_readers();
  }

  /// Copies datagrams that are not reserved for other readers into the messages. Returns how many were copied.
  std::size_t take_some(std::span<read_slot> messages) noexcept;

  /// Lends the backlog to the batch, except one buffer for each reservation of another reader. Returns how many
  /// datagrams. Precondition (asserted): no train of this conn is open.
  std::size_t lend(datagram_batch& batch) noexcept;

  /// Cancels the armed read; the next one is armed when a reader waits. The kernel reports the news of a path MTU to a
  /// read that begins after it, and does not wake an armed read for it.
  void restart_read() noexcept { source_.cancel_read_if_submitted(cancel_reason::kernel_has_news); }

  /// Takes the error of the socket that arrived while no reader waited. Empty if there is none, or if the backlog has
  /// datagrams, which arrived before the error.
  error_slot take_error_before_data() noexcept {
    if (!error_pends_ || !backlog_.empty() || readers_.has_waiting()) return {};
    error_pends_ = false;
    return pending_error_;
  }

  /// Delivers an error of the socket to the first reader that waits, else to the next read.
  void deliver_error(std::error_code error) noexcept;

  /// Keeps the event for `take_path_mtu_event`, and ends a read as `deliver_error` does. Without memory for it the read
  /// ends with not_enough_memory.
  void deliver_path_mtu_event(const path_mtu_event& news) noexcept;
  std::optional<path_mtu_event> take_path_mtu_event() noexcept;

  /// Ends the source's reads and returns after their last completions; ends every reader with `error`, and discards the
  /// backlog, counted.
  void close(std::error_code error) noexcept;

  /// As `close` with `errc::closed`, but returns the backlog's datagrams. not_enough_memory: nothing has changed for
  /// readers and backlog.
  result<std::vector<kept_datagram>> take_out() noexcept;

  // The socket goes to another process in steps, between which tasks run: `begin_handover`, `offer_backlog` once no
  // reader has a reservation, then `finish_handover` or `give_up_handover`. Readers wait meanwhile, new ones too.

  /// Ends the source's reads and returns after their last completions.
  void begin_handover() noexcept;
  bool is_handing_over() const noexcept { return source_.reads_stopped(); }
  bool has_reservations() const noexcept { return readers_.has_reservations(); }
  /// Copies of the backlog's datagrams, which no reader gets meanwhile. not_enough_memory: nothing has changed.
  result<std::vector<kept_datagram>> offer_backlog() noexcept;
  /// The datagrams are the other process's: reads end with `errc::closed`.
  void finish_handover() noexcept;
  bool was_handed_over() const noexcept { return finishing_ && is_handing_over(); }
  /// Readers get the datagrams, as before.
  void give_up_handover() noexcept;

  /// Puts copies of these datagrams into the backlog. Precondition (asserted): no read has begun. Errors:
  /// no_buffer_space (loop_options::moved_out_limit), not_enough_memory, and of the pool. After an error the backlog is
  /// unchanged.
  result<void> take_in_kept(std::span<const kept_datagram> datagrams) noexcept;

  receive_counters counters() noexcept;

 private:
  friend class receive_source;
  friend class receive_backlog;

  void close_train() noexcept override;

  // Called by the source.
  void wake_readers() noexcept;
  void cancel_read_if_reader_is_away() noexcept;

  // Called by the backlog.
  void make_room() noexcept;

  void wake(read_waiter& reader) noexcept;
  void look_for_end() noexcept;
  void end_reading(std::error_code error) noexcept;
  result<std::vector<kept_datagram>> copy_backlog() noexcept;

  // The members that every datagram touches, from the source's operation on, are in three adjacent cache lines: with
  // many conns each line is a cache miss. The other members come behind them.
  receive_source source_;
  receive_backlog backlog_{*this};
  [[no_unique_address]] reservation_queue<read_waiter> readers_;
  bool admits_ = true;
  bool error_pends_ = false;
  bool finishing_ = false;
  bool emptied_ = false;  // `finish` or a later read found the socket empty
  loop_core& loop_;
  struct {
    std::uint64_t buffers = 0;
    std::uint64_t errors = 0;
  } counters_;
  [[no_unique_address]] error_slot pending_error_;  // the next member lies in its last octets
  std::uint32_t emptied_in_turn_ = 0;               // the loop's turn when the socket was found empty, modulo 2^32
  std::unique_ptr<path_mtu_event> path_mtu_event_;  // few conns ever have one
  receive_source::rarely_used source_rarely_used_;
  receive_backlog::rarely_used backlog_rarely_used_;
};

}  // namespace uring6::inline v0::detail
