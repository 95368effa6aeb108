// The reading half of a packet_conn: one armed multishot read (recvmsg, or recv where the payload is all there is to
// know) that fills pool buffers, a backlog of what has arrived, and the coroutines that wait for it, first come, first
// served. Nothing that a packet can do ends it.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "runtime/loop_core.hpp"
#include "uring/buffer_pool.hpp"
#include "uring/cache.hpp"
#include "uring6/datagram.hpp"
#include "uring6/detail/open_train.hpp"
#include "uring6/detail/packet_operations.hpp"
#include "uring6/detail/received_piece.hpp"
#include "uring6/detail/short_copy.hpp"
#include "uring6/released_packet.hpp"

namespace uring6 {
class datagram_batch;
}

namespace uring6::detail {

struct receive_counters {
  std::uint64_t datagrams = 0;  // handed out
  std::uint64_t bytes = 0;      // of payload, as sent
  std::uint64_t buffers = 0;    // filled by the kernel: datagrams per buffer is the length of the trains
  std::uint64_t trains = 0;     // buffers with more than one datagram
  std::uint64_t rearms = 0;     // times the read had ended and was armed again
  std::uint64_t exhausted = 0;  // of these, because no buffer was left (ENOBUFS)
  std::uint64_t errors = 0;     // errors of the socket (ICMP) delivered
  std::uint64_t malformed = 0;  // completions whose header made no sense
  std::uint64_t discarded = 0;  // datagrams that were received and thrown away
};

class receiver final : buffer_waiter, train_owner, operation, buffer_holder {
  // What is cold comes first; see the members.
  static_assert(sizeof(void*) != 8 || (sizeof(buffer_waiter) + sizeof(train_owner)) * 2 == cache_line);

 public:
  receiver(loop_core& loop, int fd) noexcept;
  receiver(const receiver&) = delete;
  receiver& operator=(const receiver&) = delete;
  ~receiver();

  /// Which pool to fill from; before the first read.
  void use(buffer_class which) noexcept { class_ = which; }

  /// All datagrams come from `peer`, singly, and nobody asks what else is known of them: the kernel need not say it.
  /// Nothing: it is to say all it knows, of every datagram that it gives from now on.
  void expect_only(const std::optional<endpoint>& peer) noexcept;

  /// Do reads begin here, as far as closing and deadlines are concerned?
  void admit(bool reads) noexcept { admits_ = reads; }
  bool may_read() const noexcept { return admits_ && loop_.runs_here(); }

  /// A coroutine waits for a datagram. It will be resumed.
  void wait(read_waiter& reader, std::coroutine_handle<> handle, stop_root& stop);

  /// A notified coroutine runs: what was kept for it is its own.
  void resumed(read_waiter& reader) noexcept;

  /// A waiting or notified coroutine goes without taking anything: what was kept for it is the next one's.
  void leave(read_waiter& reader) noexcept;

  /// Everyone who waits, and whom nothing is kept for, gets this error.
  void fail_waiting(std::error_code error) noexcept;

  /// Is there a datagram that nobody else was promised, and may it be taken without a suspension?
  bool at_hand() noexcept {
    this_threads_train.close();
    return backlog_size_ > 0 && notified_size_ == 0 && waiting_.empty() && loop_.spend();
  }

  /// Is the next one short, whole, and not the last of its buffer? Nearly all of a train are.
  bool amid_a_train(std::size_t room) noexcept {
    const buffer& from = backlog_.front();
    return from.segment < from.remaining && from.segment <= room && from.segment >= short_piece &&
           from.segment <= longest_short;
  }

  /// `take` for one of those: it calls nothing, so that nothing is saved and restored around it.
  received_piece take_amid(std::byte* into) noexcept {
    buffer& from = backlog_.front();
    const std::size_t length = from.segment;
    copy_short(into, from.payload, length);
    ++counters_.datagrams;
    counters_.bytes += length;
    from.payload += length;
    from.remaining -= static_cast<std::uint32_t>(length);
    return {length, &from.first, length, false};
  }

  /// Copies one datagram out. There is one. Whoever was kept waiting for it calls `next_one` after that.
  received_piece take(std::span<std::byte> into) noexcept {
    buffer& from = backlog_.front();
    const std::uint32_t length = std::min(from.segment, from.remaining);
    const std::size_t copied = std::min<std::size_t>(length, into.size());
    copy_datagram(into.data(), from.payload, copied);
    const std::size_t full_length = std::size_t{length} + from.cut_off;
    ++counters_.datagrams;
    counters_.bytes += full_length;
    from.payload += length;
    from.remaining -= length;
    if (from.remaining == 0) consumed(from);
    return {copied, &from.first, full_length, from.first.truncated || copied < length};
  }

  /// After a read of one that was at hand: the next ones of its train go without all these questions, as many as the
  /// turn's budget has.
  void open_train_of(const packet_socket& socket) noexcept {
    if (backlog_.empty() || backlog_.front().single()) return;
    buffer& from = backlog_.front();
    const std::uint32_t whole = (from.remaining - 1) / from.segment;
    this_threads_train = {.of = &socket,
                          .owner = this,
                          .head = &from.first,
                          .next = from.payload,
                          .length = from.segment,
                          .left = loop_.spend(whole)};
  }

  /// The next one in line, if there is something left for it.
  void next_one() noexcept {
    if (!waiting_.empty()) notify();
  }

  /// Copies out as many as there are messages and datagrams, but for what is kept for others.
  std::size_t take_some(std::span<incoming> messages) noexcept;

  /// Lends all that has arrived, but for what is kept for others.
  std::size_t lend(datagram_batch& batch) noexcept;

  /// The kernel keeps something for the next read that is armed (the news of a path MTU), which wakes none that is
  /// armed already: that one ends, and is armed again when somebody reads.
  void look_again() noexcept;

  /// An error of the socket that came while nobody waited, once, unless datagrams came before it.
  error_slot take_error_before_data() noexcept {
    if (!error_pends_ || backlog_size_ > 0 || !waiting_.empty()) return {};
    error_pends_ = false;
    return pending_error_;
  }

  /// Ends the read, waits for the kernel's last word, fails every reader with `error`, and discards the backlog,
  /// counted.
  void close(std::error_code error) noexcept;

  /// As close with `errc::closed`, but the datagrams of the backlog are the caller's. not_enough_memory: the reads have
  /// ended, the backlog is as it was, and reads may begin again.
  result<std::vector<kept_datagram>> take_out() noexcept;

  /// Puts copies of these datagrams into the backlog. Before the first read. Errors: not_enough_memory, and of the
  /// pool: then the backlog is as it was.
  result<void> take_in_kept(std::span<const kept_datagram> datagrams) noexcept;

  const receive_counters& counters() noexcept {
    this_threads_train.close();
    return counters_;
  }

 private:
  // A read that does not stay armed. Empty datagrams end a multishot read, each of them one: while they keep coming,
  // these go along with the armed read, so that one enter ends many.
  class companion final : public operation {
   public:
    receiver* of = nullptr;
    bool bare = false;

   private:
    void prepare(io_uring_sqe& entry) noexcept override;
    void complete(completion what) noexcept override;
  };
  static constexpr std::size_t most_companions = 15;

  class spun_read;

  void prepare(io_uring_sqe& entry) noexcept override { bare_ = prepare_read(entry, 0); }
  void complete(completion what) noexcept override;
  void complete_run(const io_uring_cqe* first, std::size_t count) noexcept override;
  void soon_complete() const noexcept override;
  bool prepare_read(io_uring_sqe& entry, int flags) noexcept;
  void take_in(completion what, bool bare) noexcept;
  [[gnu::always_inline]] inline void take_buffer(completion what, bool bare) noexcept;
  void send_companions() noexcept;
  void end_reads() noexcept;
  void end_reading(std::error_code error) noexcept;
  void drop_backlog() noexcept;
  std::error_code open_pool() noexcept;
  bool reads() noexcept;
  bool reads_bare() noexcept;
  void buffers_are_back() noexcept override;
  bool starves() const noexcept override { return backlog_.empty() && !waiting_.empty(); }
  void move_out() noexcept override;
  void close_train() noexcept override;

  [[gnu::always_inline]] inline bool read_off(buffer& what, std::uint32_t length, bool bare) noexcept;
  void read_bare(buffer& what, std::uint32_t length) noexcept;
  void empty_arrived() noexcept;
  inline void keep(buffer& what) noexcept;
  void failed(std::error_code error) noexcept;
  void arm() noexcept;
  bool read_by_spinning() noexcept;
  void notify() noexcept;
  void wake(read_waiter& reader) noexcept;
  void pause_if_nobody_reads() noexcept;
  void consumed(buffer& what) noexcept;
  void left_backlog(std::uint32_t count) noexcept;

  // What every datagram touches is together, from `operation` on: three cache lines, because of many conns it is in no
  // cache.
  loop_core& loop_;
  int fd_;
  buffer_class class_ = buffer_class::large;
  bool admits_ = true;
  bool error_pends_ = false;
  bool armed_before_ = false;
  bool pausing_ = false;
  bool bare_ = false;         // the read that is armed asks for the payload alone
  bool may_be_bare_ = false;  // the next one may
  bool all_pooled_ = true;    // none of the backlog has memory of its own
  std::shared_ptr<buffer_pool> pool_;
  intrusive_list<buffer> backlog_;
  std::uint32_t backlog_size_ = 0;
  std::uint32_t notified_size_ = 0;
  intrusive_list<read_waiter, waiting_hook> waiting_;
  intrusive_list<read_waiter, waiting_hook> notified_;
  std::uint64_t empties_ = 0;             // empty datagrams so far
  std::uint64_t buffers_when_armed_ = 0;  // counters_.buffers at that time: more means that the read took some
  receive_counters counters_;
  error_slot pending_error_;
  std::size_t companions_wanted_ = 0;
  endpoint peer_;  // from whom a bare read gets all, also one that is called back
  std::unique_ptr<std::array<companion, most_companions>> companions_;  // made when they are first wanted
  buffer* last_moved_ = nullptr;     // with memory of its own; its reader may still look at it
  std::unique_ptr<spun_read> spun_;  // made when the loop first spins
};

}  // namespace uring6::detail
