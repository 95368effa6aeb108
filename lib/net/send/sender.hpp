// The writing half of a packet_conn. Writes wait in a queue until the loop is about to enter the kernel; then `flush`
// packs the messages of equal length, destination and control data into trains, a train for each destination. Every
// datagram has its own result. A train that a route refuses is sent again as single datagrams, one after the other,
// from the same send_train object: so a refusal needs no further train from the pool. docs/architecture.md has the
// states of a train.
#pragma once

#include <memory>

#include "net/kernel/segment_limit.hpp"
#include "net/send/refusing_destinations.hpp"
#include "net/send/send_pool.hpp"
#include "net/send/zero_copy.hpp"
#include "uring6/detail/packet_operations.hpp"

namespace uring6::inline v0::detail {

struct send_counters {
  std::uint64_t datagrams = 0;  // taken by the kernel
  std::uint64_t bytes = 0;
  std::uint64_t trains = 0;            // taken by the kernel, with more than one datagram
  std::uint64_t refused = 0;           // trains that a route refused, and that were sent again one by one
  std::uint64_t parked = 0;            // sends that had to wait for room in the socket's buffer
  std::uint64_t failed = 0;            // datagrams with an error
  std::uint64_t coalesced_failed = 0;  // of these, datagrams of writes that had succeeded before (coalesce_writes)
  std::uint64_t zero_copy = 0;         // zero-copy sends that the kernel took
  std::uint64_t copied = 0;            // of these, sends that the kernel copied all the same
};

class sender final : outbound {
 public:
  struct options {
    bool coalesce = false;           // a write is copied and completes at once; it is sent at the end of the turn
    bool trains = true;              // UDP with UDP_SEGMENT
    bool udp = true;                 // else raw IP or ICMP: no UDP header, and no IPv4
    std::size_t zero_copy_from = 0;  // the shortest zero-copy send, octets; 0: every send is copied
    endpoint peer{};                 // of a connected socket
  };

  sender(loop_core& loop, int fd, options what)
      : loop_(loop),
        fd_(fd),
        longest_train_(static_cast<std::uint32_t>(what.trains ? segment_limit() : 1)),
        pool_(send_pool::of(loop)),
        coalesces_(what.coalesce),
        udp_(what.udp),
        peer_(what.peer) {
    if (coalesces_) late_refusal_ = std::make_unique<late_refusal>();
    if (what.zero_copy_from > 0) zero_copy_ = std::make_unique<zero_copy_choice>(what.zero_copy_from);
  }
  sender(const sender&) = delete;
  sender& operator=(const sender&) = delete;

  /// Queues a coroutine's messages. True: the coroutine is suspended, and the sender will resume it. False: the write
  /// is over.
  bool wait(write_waiter& writer, stop_root& stop);

  /// Ends a write early. Its messages that no train has taken get the error `why`; trains in flight with its datagrams
  /// are canceled. The writer is resumed when each of its datagrams has a result. Without effect on a write that is
  /// over.
  void cancel(write_waiter& writer, std::error_code why) noexcept;

  /// The same when the frame of a writer is destroyed: returns when the kernel uses none of its memory any more.
  void cancel_and_wait(write_waiter& writer) noexcept;

  /// Cancels every write.
  void fail_waiting(std::error_code why) noexcept;

  /// Ends the sender: sends coalesced datagrams as far as the socket's buffer has room, cancels the rest, and returns
  /// when no train is in flight.
  void close(std::error_code why) noexcept;

  /// A train's send has ended with this result: negative errno, or at least 0. Called by the train's completion.
  void on_train_sent(send_train& train, int result) noexcept;

  /// Sets the reader that fetches the news of a path MTU, which the kernel keeps for the next read when a datagram was
  /// too long; nullptr: the conn does not ask for such news.
  void set_path_mtu_reader(receiver* reader) noexcept { path_mtu_reader_ = reader; }

  /// Sets the reader that gets the ICMP errors which a write meets and which do not end that write. On an unconnected
  /// conn that keeps error reports these are all errors that may be about another destination; on a connected one the
  /// reports of a path MTU that meet a train. nullptr: the conn keeps no reports, and the write that meets an error
  /// gets it.
  void set_error_reader(receiver* reader, bool connected) noexcept {
    error_reader_ = reader;
    errors_are_the_peers_ = connected;
  }

  /// The peer of a connected socket, as `options` had it.
  const endpoint& peer() const noexcept { return peer_; }

  const send_counters& counters() const noexcept { return counters_; }

 private:
  /// Trains that one conn may hold, of the pool's 512: eight conns can hold as many. The convoy has room for all of
  /// them.
  static constexpr std::size_t max_trains_per_conn = send_convoy::capacity;

  /// The last error of a coalesced datagram, and where that was to go.
  struct late_refusal {
    std::error_code error;
    endpoint destination;
  };

  /// Where `flush` is. `seal` submits trains at once while it runs.
  enum class flushing : std::uint8_t {
    no,
    with_convoy,  // `submit` may put trains into the convoy
    by_ring       // the convoy has left, or may not be used: every train goes by the ring
  };

  void flush() noexcept override;
  void set_mode(send_train& train, send_train::mode to) noexcept;
  void schedule_flush() noexcept;
  bool has_unsent() const noexcept { return trains_held_ > 0; }
  /// Why a coalesced datagram was refused, if it was since the last call.
  std::error_code take_error() noexcept {
    return std::exchange(refused_late_, false) ? late_refusal_->error : std::error_code();
  }
  const endpoint& destination_of(const write_slot& message, bool addressed) const noexcept {
    return addressed ? message.destination : peer_;
  }
  bool copy_to_slab(write_waiter& writer) noexcept;
  void report_late_error(write_waiter& writer, write_slot& message) noexcept;
  bool find_room(std::size_t length) noexcept;
  bool write_ahead(const write_slot& message, bool addressed, error_slot& error) noexcept;
  void fail_nonblocking_writers() noexcept;
  void build_trains() noexcept;
  void await_results(write_waiter& writer) noexcept;
  void seal(send_train& train) noexcept;
  void seal_slab_trains() noexcept;
  bool suits_slab(const send_train& train, const write_slot& message, bool is_copied) const noexcept;
  bool is_last_copy(std::span<const std::byte> payload) const noexcept;
  void submit(send_train& train) noexcept;
  void submit_by_ring(send_train& train) noexcept;
  void submit_convoy() noexcept;
  void send_one_by_one(send_train& train) noexcept;
  bool try_doubtful_train(send_train& train) noexcept;
  void resend_at_once(send_train& train) noexcept;
  send_train* find_filling(const endpoint& to) noexcept;
  send_train* search_filling(const endpoint& to) noexcept;
  std::size_t append_in_turn(std::span<write_slot> messages, write_waiter& from, send_train*& offer) noexcept;
  void keep_filling(send_train& train) noexcept;
  void leave(send_train& train, const endpoint& next_destination, bool addressed) noexcept;
  void seal_filling_trains(std::size_t at_most) noexcept;
  void seal_all_filling(send_train* last_used) noexcept;
  bool make_room() noexcept;
  bool build_cut(write_waiter& writer, send_train*& open) noexcept;
  void refuse_cut(write_waiter& writer, std::error_code why) noexcept;
  send_train* take_train_or_send() noexcept;
  bool hold_single(write_waiter& writer) noexcept;
  void begin_held(send_train& train) noexcept;
  void submit_single(send_train& train) noexcept;
  static void load_single(send_train& train, write_slot& message, write_waiter& writer) noexcept;
  void on_member_sent(const send_convoy::member& from, int outcome) noexcept;
  static bool is_canceled(const send_train::part& part) noexcept;
  bool finish_zero_copy(send_train& train, int& outcome) noexcept;
  bool retry_after_icmp_error(send_train& train, int outcome) noexcept;
  bool may_be_other_error(const send_train& train, int outcome) const noexcept;
  bool take_pending_error(send_train& train) noexcept;
  void release(send_train& train) noexcept;
  void serve_writers() noexcept;
  void record(const send_train::part& part, std::error_code error, const endpoint& to) noexcept;
  void finish_if_done(write_waiter& writer) noexcept;
  send_train* take_train() noexcept;
  void give_back(send_train& train) noexcept;
  static bool is_impatient(const send_train::part& part) noexcept;
  std::error_code error_of(int outcome, const endpoint& to) const noexcept;
  /// May `check_message` find a fault? Most messages need no call of it.
  bool needs_check(const write_slot& message, const endpoint& to) const noexcept {
    return !udp_ || message.payload.size() > longest_ipv4_payload || to.address.zone() != 0;
  }
  std::error_code check_message(const write_slot& message, const endpoint& to) const noexcept;
  std::error_code begin_train(send_train& train, const endpoint& to, const write_slot& message,
                              bool addressed) noexcept;

  loop_core& loop_;
  int fd_;
  std::uint32_t longest_train_;  // datagrams
  std::shared_ptr<send_pool> pool_;
  intrusive_list<write_waiter, waiting_hook> queued_writers_;    // have messages that no train has taken
  intrusive_list<write_waiter, waiting_hook> awaiting_writers_;  // wait for the results of trains, or flush
  intrusive_list<send_train, train_hook> trains_in_flight_;
  intrusive_list<send_train, train_hook> trains_to_resend_;
  intrusive_list<send_train, train_hook> sealed_trains_;   // of coalesced writes: the next flush submits them
  intrusive_list<send_train, train_hook> filling_trains_;  // in the pool's table of them, the oldest first
  send_train* last_found_ = nullptr;                       // of filling_trains_: the one that took the last message
  send_train* slab_train_ = nullptr;                       // the train that the last coalesced write joined
  slab_block* slab_block_ = nullptr;        // where they are copied to; nullptr once all its trains ended
  std::span<const std::byte> last_copied_;  // the payload whose copy ends the used part of that block
  std::uint32_t slab_blocks_held_ = 0;
  std::uint32_t written_ahead_ = 0;    // writes that ended at once, modulo 2^32
  std::uint32_t trains_held_ = 0;      // trains that this sender has from the pool
  std::uint32_t trains_waiting_ = 0;   // of these, trains that are not quiet: they may not come back soon
  bool coalesces_;                     // as options::coalesce
  bool udp_;                           // as options::udp
  bool errors_are_the_peers_ = false;  // the conn is connected: an ICMP error is about its peer
  bool pending_error_taken_ = false;   // since this flush began; of a conn that keeps error reports
  bool refused_late_ = false;          // a coalesced datagram was refused since `take_error`: late_refusal_
  bool had_reports_ = false;           // reports were in the queue then: a report is no sign of a pending error
  flushing flush_ = flushing::no;
  refusing_destinations refusing_;
  std::unique_ptr<zero_copy_choice> zero_copy_;  // nullptr: every send is copied
  endpoint peer_;                                // of a connected socket
  receiver* path_mtu_reader_ = nullptr;
  receiver* error_reader_ = nullptr;
  std::unique_ptr<late_refusal> late_refusal_;  // nullptr: the conn does not coalesce
  std::error_code closing_;                     // set by `close`: no send is parked any more
  send_counters counters_;
};

// The train that was kept open for this destination; nullptr if there is none. A program that goes through its
// destinations in the same order again and again finds each behind the last one, without a search.
inline send_train* sender::find_filling(const endpoint& to) noexcept {
  assert(!filling_trains_.empty());
  list_hook* guess = last_found_ ? static_cast<train_hook*>(last_found_)->next : filling_trains_.first();
  if (filling_trains_.is_end(guess)) guess = filling_trains_.first();
  send_train* const guessed = static_cast<send_train*>(static_cast<train_hook*>(guess));
  if (!(guessed->destination() == to) || guessed->single) return search_filling(to);
  return last_found_ = guessed;
}

}  // namespace uring6::inline v0::detail
