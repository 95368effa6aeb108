// The part of a receiver that reads the socket: by a multishot read of the ring (recvmsg, or recv where the payload is
// all that readers ask for), or, while the loop spins, by system calls.
#pragma once

#include <array>
#include <cassert>
#include <cstdint>
#include <memory>
#include <optional>

#include "runtime/loop/loop_core.hpp"
#include "uring/buffer_pool.hpp"
#include "uring6/address.hpp"

namespace uring6::inline v0::detail {

class receiver;
class spun_read;

/// Why the armed read was canceled.
enum class cancel_reason : std::uint8_t {
  none,
  kernel_has_news,  // the kernel reports a path MTU only to a read that begins after it
  reader_is_away,   // this backlog has half of the pool's buffers, and no coroutine waits
  moved_out,        // the backlog was copied out of the pool: new datagrams shall wait in the socket
  spin_is_faster,   // datagrams come one by one, and within spins
  ending            // the conn closes, or the read does not ask for the control messages that are wanted now
};

class receive_source final : public buffer_waiter, operation {
  // The base buffer_waiter, which datagrams do not touch, comes first: see the members of receiver.

 public:
  /// How the socket is read. `transitions` in the .cpp file has every step from one to the next.
  enum class state : std::uint8_t {
    unarmed,    // no read
    armed,      // the multishot read is queued or with the kernel
    canceling,  // the same, and a cancel request for it is queued or with the kernel
    spinning,   // the loop's spins read the socket; there is no read of the ring
    starved     // no read: the last read ended with ENOBUFS, and the pool will arm the next one
  };

  receive_source(receiver& owner, int fd) noexcept : fd_(fd), owner_(owner) {}
  receive_source(const receive_source&) = delete;
  receive_source& operator=(const receive_source&) = delete;

  /// Chooses the pool that the reads take buffers from. Precondition (asserted): no pool was opened.
  void set_buffer_class(buffer_class which) noexcept {
    assert(!pool_);
    class_ = which;
  }

  /// Gets the pool from the loop, at the first call. Errors: not_enough_memory; the kernel's, when it refuses to
  /// register the ring of buffers.
  std::error_code open_pool() noexcept;
  /// Precondition (asserted): `open_pool` has succeeded, as it has once a read was armed.
  buffer_pool& pool() const noexcept {
    assert(pool_);
    return *pool_;
  }
  buffer_pool* pool_or_null() const noexcept { return pool_; }

  /// With a `peer`: all datagrams come from it, singly, and no reader wants control messages; later reads are
  /// payload-only. Without: the kernel reports source and control messages of every datagram that it delivers after
  /// this call, which waits for the end of payload-only reads.
  void expect_only(const std::optional<endpoint>& peer) noexcept;

  /// A coroutine waits for a datagram: arms a read, unless one is armed, spinning or starved.
  void arm() noexcept;

  /// Asks the kernel to end the armed read. Without effect in any other state.
  void cancel_read(cancel_reason why) noexcept;
  /// The same, unless the read is still queued: then it begins after this call anyway.
  void cancel_read_if_submitted(cancel_reason why) noexcept;

  /// Ends every read and returns after the last completion. No read begins until `resume_reads`.
  void stop_reads() noexcept;
  /// Reads may begin again; one is armed if a coroutine waits.
  void resume_reads() noexcept;
  /// Between these two no read begins.
  bool reads_stopped() const noexcept { return reads_stopped_; }

  /// Has the socket's queue no datagram? A system call.
  bool socket_is_empty() const noexcept;

  /// Is a read of the ring queued or with the kernel?
  bool is_reading() const noexcept;

  // --- used by spun_read ---

  int fd() const noexcept { return fd_; }
  loop_core& loop() const noexcept;
  bool has_waiting_reader() const noexcept;
  bool payload_only() const noexcept { return may_be_payload_only_; }
  void spin_ends() noexcept {
    assert(state_ == state::spinning);
    become(state::unarmed);
  }
  /// A spin filled a buffer that it drew from the pool. `length`: the result that a read of the ring would have had.
  void take_spun(buffer& filled, std::uint32_t length, bool payload_only) noexcept;
  void fail_spun(int error_number) noexcept;

  struct counters {
    std::uint64_t trains = 0;     // buffers with more than one datagram
    std::uint64_t rearms = 0;     // how often a read was armed after an earlier one had ended
    std::uint64_t exhausted = 0;  // reads that ended because no buffer was left (ENOBUFS)
    std::uint64_t malformed = 0;  // completions with a too short io_uring_recvmsg_out, and lost empty datagrams
  };
  bool starves() const noexcept override;

 private:
  // A read that does not stay armed (MSG_DONTWAIT). Each empty datagram ends a multishot read. So while empty datagrams
  // keep coming, drain reads are submitted behind the armed one, and one enter reads many.
  class drain_read final : public operation {
   public:
    receive_source* of = nullptr;
    bool payload_only = false;

   private:
    void prepare(io_uring_sqe& entry) noexcept override;
    void complete(completion what) noexcept override;
  };
  // Drain reads of one conn: how many more empty datagrams one enter can read. With 15 a flood of empty datagrams is
  // read at four fifths of the rate of short ones; 31 gained nothing.
  static constexpr unsigned most_drain_reads = 15;

 public:
  /// Members that most datagrams do not touch: the receiver stores them behind its hot members.
  struct rarely_used {
    rarely_used() noexcept;
    ~rarely_used();

    counters counted;
    std::uint64_t empties = 0;             // empty datagrams that arrived
    std::uint64_t buffers_when_armed = 0;  // the count of filled buffers when the read was armed
    std::shared_ptr<buffer_pool> pool;
    endpoint peer;  // the source of the datagrams of payload-only reads, also of a canceled one
    std::unique_ptr<std::array<drain_read, most_drain_reads>> drain_reads;  // made when first used
    std::unique_ptr<spun_read> spun;                                        // made when the loop first spins
    std::uint8_t drain_reads_wanted = 0;  // up to most_drain_reads
    bool armed_before = false;
    cancel_reason why = cancel_reason::none;
  };

 private:
  rarely_used& rare() const noexcept;
  void become(state next) noexcept;
  void end_reads() noexcept;

  void prepare(io_uring_sqe& entry) noexcept override { payload_only_ = prepare_read(entry, 0); }
  void complete(completion what) noexcept override;
  void complete_run(const io_uring_cqe* first, std::size_t count) noexcept override;
  void prefetch_for_completion() const noexcept override;
  void buffers_are_back() noexcept override;

  bool prepare_read(io_uring_sqe& entry, int flags) noexcept;
  [[gnu::always_inline]] inline void take_buffer(buffer& filled, std::uint32_t length, bool payload_only) noexcept;
  void take_completion(completion what, bool payload_only) noexcept;
  [[gnu::always_inline]] inline bool decode_buffer(buffer& what, std::uint32_t length, bool payload_only) noexcept;
  void decode_payload_only(buffer& what, std::uint32_t length) noexcept;
  void take_empty_datagram() noexcept;
  void take_path_mtu_event(buffer& filled) noexcept;
  [[gnu::always_inline]] inline void append_to_backlog(buffer& filled) noexcept;
  void send_drain_reads() noexcept;
  bool reads_payload_only() const noexcept;
  bool begin_to_spin() noexcept;

  int fd_;
  buffer_class class_ = buffer_class::large;
  state state_ = state::unarmed;
  bool payload_only_ = false;         // the armed read asks for the payload alone
  bool may_be_payload_only_ = false;  // the next read may ask for the payload alone
  bool reads_stopped_ = false;        // between `stop_reads` and `resume_reads`
  receiver& owner_;
  buffer_pool* pool_ = nullptr;  // owned by rarely_used::pool; nullptr before `open_pool`
};

}  // namespace uring6::inline v0::detail
