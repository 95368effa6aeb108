// The reading half of a packet_conn, made of three parts: the source fills buffers, the backlog keeps them until they
// are handed out, and the readers are the coroutines that wait, first come, first served. Here the three meet: what
// arrives is reserved for readers, and their number decides whether the source reads on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "net/receive/receive_backlog.hpp"
#include "net/receive/receive_source.hpp"
#include "net/socket/reservation_queue.hpp"
#include "runtime/loop/loop_core.hpp"
#include "uring/cache.hpp"
#include "uring6/datagram.hpp"
#include "uring6/detail/open_train.hpp"
#include "uring6/detail/packet_operations.hpp"
#include "uring6/detail/received_piece.hpp"
#include "uring6/released_packet.hpp"

namespace uring6::detail {

struct receive_counters {
  std::uint64_t datagrams = 0;  // handed out
  std::uint64_t bytes = 0;      // of payload, as sent
  std::uint64_t buffers = 0;    // filled: datagrams per buffer is the length of the trains
  std::uint64_t errors = 0;     // errors of the socket (ICMP) delivered
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

  /// Do reads begin here, as far as closing and deadlines are concerned?
  void admit(bool reads) noexcept { admits_ = reads; }
  bool may_read() const noexcept { return admits_ && loop_.runs_here(); }

  /// A coroutine waits for a datagram. It will be resumed.
  void wait(read_waiter& reader, std::coroutine_handle<> handle, stop_root& stop);

  /// A reader was resumed and takes the datagram that was reserved for it.
  void resumed(read_waiter& reader) noexcept { readers_.remove(reader); }

  /// A reader goes without taking a datagram: one that was reserved for it is the next reader's.
  void leave(read_waiter& reader) noexcept;

  /// Every reader that waits, and that no datagram is reserved for, gets this error.
  void fail_waiting(std::error_code error) noexcept;

  /// Is there a datagram that is reserved for no other reader, and may it be taken without a suspension?
  bool at_hand() noexcept {
    this_threads_train.close();
    return !backlog_.empty() && !readers_.has_reservations() && !readers_.has_waiting() && loop_.spend();
  }

  /// Copies the first datagram of the backlog into the caller's buffer. Precondition (asserted): the backlog is not
  /// empty. A reader that was resumed for it then calls `serve_next`.
  received_piece take(std::span<std::byte> into) noexcept { return backlog_.take(into, source_.pool()); }

  /// After a read of a datagram that was at hand: the next ones of its train go without these questions, as many as the
  /// turn's budget has.
  void open_train_of(const packet_socket& socket) noexcept {
    const std::uint32_t equal = backlog_.equal_datagrams();
    if (equal == 0) return;
    this_threads_train.of = &socket;
    this_threads_train.owner = this;
    backlog_.lend_train(this_threads_train, loop_.spend(equal));
  }

  /// Reserves the next datagram for the first reader that waits.
  void wake_next() noexcept {
    if (readers_.has_waiting()) wake_readers();
  }

  /// Copies out as many datagrams as there are messages, but for those that are reserved for other readers.
  std::size_t take_some(std::span<incoming> messages) noexcept;

  /// Lends all that has arrived, but for what is reserved for other readers.
  std::size_t lend(datagram_batch& batch) noexcept;

  /// The kernel keeps something for the next read that is armed (the news of a path MTU), which wakes none that is
  /// armed already: that one ends, and is armed again when a reader waits.
  void restart_read() noexcept { source_.cancel_read_if_submitted(cancel_reason::kernel_has_news); }

  /// An error of the socket that came while no reader waited, once, unless datagrams came before it.
  error_slot take_error_before_data() noexcept {
    if (!error_pends_ || !backlog_.empty() || readers_.has_waiting()) return {};
    error_pends_ = false;
    return pending_error_;
  }

  /// An error of the socket ends one read: the first that waits, or else the next.
  void deliver_error(std::error_code error) noexcept;

  /// Ends the read, waits for the kernel's last word, fails every reader with `error`, and discards the backlog,
  /// counted.
  void close(std::error_code error) noexcept;

  /// As close with `errc::closed`, but the datagrams of the backlog are the caller's. not_enough_memory: readers and
  /// backlog are as they were.
  result<std::vector<kept_datagram>> take_out() noexcept;

  /// Puts copies of these datagrams into the backlog. Precondition (asserted): no read has begun. Errors:
  /// not_enough_memory, and of the pool: then the backlog is as it was.
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
  void end_reading(std::error_code error) noexcept;

  // What every datagram touches lies together, from the source's operation on: three cache lines, because of many conns
  // it is in no cache. What is not touched for each datagram comes behind.
  receive_source source_;
  receive_backlog backlog_{*this};
  [[no_unique_address]] reservation_queue<read_waiter> readers_;
  bool admits_ = true;
  bool error_pends_ = false;
  loop_core& loop_;
  struct {
    std::uint64_t buffers = 0;
    std::uint64_t errors = 0;
  } counters_;
  error_slot pending_error_;
  receive_source::rarely_used source_rarely_used_;
  receive_backlog::rarely_used backlog_rarely_used_;
};

}  // namespace uring6::detail
