// The writing half of a packet_conn. Writes wait in a queue until the loop is about to enter the kernel; then runs of
// equal ones leave as trains. Every datagram gets its own result, and a train that a route refuses goes again as
// single datagrams, once, by the train itself: it leaves once for each, and needs nothing that others may hold.
#pragma once

#include <memory>
#include <span>

#include "net/kernel/segment_limit.hpp"
#include "net/send/refusing_routes.hpp"
#include "net/send/send_pool.hpp"
#include "net/send/zero_copy.hpp"
#include "uring6/detail/packet_operations.hpp"

namespace uring6::detail {

struct send_counters {
  std::uint64_t datagrams = 0;  // taken by the kernel
  std::uint64_t bytes = 0;
  std::uint64_t trains = 0;            // with more than one datagram
  std::uint64_t refused = 0;           // trains that were sent again one by one
  std::uint64_t parked = 0;            // sends that had to wait for room in the socket's buffer
  std::uint64_t failed = 0;            // datagrams with an error
  std::uint64_t coalesced_failed = 0;  // of these, already reported as written (coalesce_writes)
  std::uint64_t zero_copy = 0;         // sends that the kernel was to make without a copy, and made
  std::uint64_t copied = 0;            // of these, those that it copied after all
};

class sender final : outbound {
 public:
  struct options {
    bool coalesce = false;           // copy, complete at once, send at the end of the turn
    bool trains = true;              // UDP with UDP_SEGMENT
    bool udp = true;                 // else raw IP or ICMP: no UDP header, and no IPv4
    std::size_t zero_copy_from = 0;  // octets of a send; 0: always copy
    endpoint peer{};                 // of a connected socket
  };

  sender(loop_core& loop, int fd, options what)
      : loop_(loop),
        fd_(fd),
        options_(what),
        longest_train_(what.trains ? segment_limit() : 1),
        pool_(send_pool::of(loop)) {
    if (what.zero_copy_from > 0) zero_copy_ = std::make_unique<zero_copy_choice>(what.zero_copy_from);
  }
  sender(const sender&) = delete;
  sender& operator=(const sender&) = delete;

  /// A coroutine wants its datagrams sent. True: it is suspended and will be resumed.
  bool wait(write_waiter& writer, stop_root& stop);

  /// The writer's datagrams that have not gone to the kernel do not go; those that have are called back. It is
  /// resumed when the kernel has said its last word.
  void cancel(write_waiter& writer, std::error_code why) noexcept;

  /// The writer's frame goes away: as withdraw, but waits here.
  void cancel_and_wait(write_waiter& writer) noexcept;

  /// Everyone who waits is withdrawn.
  void fail_waiting(std::error_code why) noexcept;

  /// Sends what was written ahead as far as the socket has room for it, withdraws the rest, and waits for the kernel's
  /// last word.
  void close(std::error_code why) noexcept;

  void on_train_sent(send_train& train, int result) noexcept;

  /// Who looks for the news of the path MTU that the kernel keeps when a datagram was too long; nullptr: nobody.
  void set_path_mtu_reader(receiver* reader) noexcept { path_mtu_reader_ = reader; }

  /// Which reader gets the errors of the socket that a write meets, which may be another destination's; nullptr: the
  /// writer that meets them. Of an unconnected conn that keeps reports of errors.
  void set_error_reader(receiver* reader) noexcept { error_reader_ = reader; }

  /// Of a connected one, as it was given.
  const endpoint& peer() const noexcept { return options_.peer; }

  const send_counters& counters() const noexcept { return counters_; }

 private:
  void flush() noexcept override;
  void schedule_flush() noexcept;
  bool has_unsent() const noexcept { return trains_held_ > 0; }
  std::error_code take_error() noexcept { return std::exchange(late_error_, {}); }
  const endpoint& destination_of(const outgoing& message, bool addressed) const noexcept {
    return addressed ? message.destination : options_.peer;
  }
  bool copy_to_slab(write_waiter& writer) noexcept;
  bool find_room(std::size_t length) noexcept;
  bool write_ahead(const outgoing& message, bool addressed, std::error_code& error) noexcept;
  void fail_nonblocking_writers() noexcept;
  void build_trains() noexcept;
  void await_results(write_waiter& writer) noexcept;
  void seal(send_train& train) noexcept;
  void submit(send_train& train) noexcept;
  void submit_by_ring(send_train& train) noexcept;
  void submit_convoy() noexcept;
  void send_one_by_one(send_train& train) noexcept;
  bool try_doubtful_train(send_train& train) noexcept;
  void add_singles_to_convoy(write_waiter& writer) noexcept;
  void on_member_sent(const send_convoy::member& from, int outcome) noexcept;
  static bool is_canceled(const send_train::part& part) noexcept;
  bool finish_zero_copy(send_train& train, int& outcome) noexcept;
  bool retry_after_icmp_error(send_train& train, int outcome) noexcept;
  void release(send_train& train) noexcept;
  void serve_writers() noexcept;
  void record(const send_train::part& part, std::error_code error) noexcept;
  void finish_if_done(write_waiter& writer) noexcept;
  send_train* take_train() noexcept;
  void give_back(send_train& train) noexcept;
  static bool is_impatient(const send_train::part& part) noexcept;
  std::error_code error_of(int outcome, const endpoint& to) const noexcept;
  std::error_code check_message(const outgoing& message, const endpoint& to) const noexcept;
  std::error_code begin_train(send_train& train, const endpoint& to, const outgoing& message, bool addressed) noexcept;

  loop_core& loop_;
  int fd_;
  options options_;
  std::size_t longest_train_;
  std::shared_ptr<send_pool> pool_;
  intrusive_list<write_waiter, waiting_hook> queued_writers_;    // have something that no train has taken
  intrusive_list<write_waiter, waiting_hook> awaiting_writers_;  // wait for trains only
  intrusive_list<send_train, train_hook> trains_in_flight_;
  intrusive_list<send_train, train_hook> trains_to_resend_;  // to depart again
  intrusive_list<send_train, train_hook> sealed_trains_;     // written ahead: with the next flush
  send_train* slab_train_ = nullptr;                         // the train that writes ahead join
  slab_block* slab_block_ = nullptr;                         // the last one taken, as long as trains are in it
  std::size_t slab_blocks_held_ = 0;                         // taken from the pool
  refusing_routes refusing_;
  std::unique_ptr<zero_copy_choice> zero_copy_;  // nullptr: everything is copied
  receiver* path_mtu_reader_ = nullptr;
  receiver* error_reader_ = nullptr;
  bool flushing_ = false;           // what departs now is launched at once
  bool use_convoy_ = false;         // what is launched now may leave together, without the ring
  std::error_code late_error_;      // the first of a write ahead since it was last asked for
  std::size_t trains_held_ = 0;     // trains taken from the pool
  std::size_t trains_waiting_ = 0;  // of these, those that wait for room in the socket, or for
                                    // the kernel to let go of what it does not copy
  std::error_code closing_;         // why nothing waits for room any more
  send_counters counters_;
};

}  // namespace uring6::detail
