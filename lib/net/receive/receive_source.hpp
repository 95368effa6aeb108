// Where the datagrams of a receiver come from: a multishot read that is armed with the kernel (recvmsg, or recv where
// the payload is all that is asked for), or the loop's spins, which read the socket without the ring.
#pragma once

#include <array>
#include <cassert>
#include <cstdint>
#include <memory>
#include <optional>

#include "runtime/loop/loop_core.hpp"
#include "uring/buffer_pool.hpp"
#include "uring6/address.hpp"

namespace uring6::detail {

class receiver;
class spun_read;

/// Why the armed read was called back.
enum class cancel_reason : std::uint8_t {
  none,
  kernel_has_news,  // the kernel keeps the news of a path MTU for the next read that is armed
  reader_is_away,   // half of the pool is this conn's, and no coroutine waits
  moved_out,        // the backlog was copied out of the pool: what arrives now waits in the socket
  spin_is_faster,   // datagrams come one by one while spins help
  ending            // the conn closes, or the read asks for the wrong things
};

class receive_source final : public buffer_waiter, operation {
  // What is not touched for each datagram comes first; see receiver's members.

 public:
  /// Who reads the socket. `transitions` in the .cpp file has every step from one to the next.
  enum class state : std::uint8_t {
    unarmed,    // no read
    armed,      // the multishot read is queued or with the kernel
    canceling,  // the same, and the kernel was asked to end it
    spinning,   // the loop's spins, and no read of the ring
    starved     // no read: the last one ended with ENOBUFS, and the pool arms the next one
  };

  receive_source(receiver& owner, int fd) noexcept : fd_(fd), owner_(owner) {}
  receive_source(const receive_source&) = delete;
  receive_source& operator=(const receive_source&) = delete;

  /// Which pool to fill from; before the first read.
  void set_buffer_class(buffer_class which) noexcept { class_ = which; }

  /// Makes the pool, unless it is there. Errors: those of the kernel, which refuses the ring of buffers.
  std::error_code open_pool() noexcept;
  /// Precondition (asserted): it is there, as it is after the first read was armed.
  buffer_pool& pool() const noexcept {
    assert(pool_);
    return *pool_;
  }

  /// All datagrams come from `peer`, singly, and no reader asks what else is known of them: the kernel need not say it.
  /// Nothing: the kernel says all it knows, of every datagram that it gives from now on.
  void expect_only(const std::optional<endpoint>& peer) noexcept;

  /// A coroutine waits for a datagram: some read is there, or comes when the pool has buffers.
  void arm() noexcept;

  /// Asks the kernel to end the armed read, if there is one and it was not asked before.
  void cancel_read(cancel_reason why) noexcept;
  /// The same where the kernel keeps something for the next read only: one that is still queued will find it.
  void cancel_read_if_submitted(cancel_reason why) noexcept;

  /// Ends every read and waits for the kernel's last word; none begins until `go_on`.
  void stop_reads() noexcept;
  /// Reads may begin again, and do if a coroutine waits.
  void resume_reads() noexcept;

  /// Is a read with the kernel?
  bool is_reading() const noexcept;

  // --- for the spins ---

  int fd() const noexcept { return fd_; }
  loop_core& loop() const noexcept;
  bool has_waiting_reader() const noexcept;
  bool payload_only() const noexcept { return may_be_payload_only_; }
  void spin_ends() noexcept { become(state::unarmed); }
  /// A spin filled a buffer that it drew from the pool, `length` octets as a read of the ring would have reported.
  void take_spun(buffer& filled, std::uint32_t length, bool payload_only) noexcept;
  void fail_spun(int error_number) noexcept;

  struct counters {
    std::uint64_t trains = 0;     // buffers with more than one datagram
    std::uint64_t rearms = 0;     // times the read had ended and was armed again
    std::uint64_t exhausted = 0;  // of these, because no buffer was left (ENOBUFS)
    std::uint64_t malformed = 0;  // completions whose header made no sense
  };
  bool starves() const noexcept override;

 private:
  // A read that does not stay armed (MSG_DONTWAIT). Each empty datagram ends a multishot read: while they keep coming,
  // some of these go along with the armed one, so that one enter reads many.
  class drain_read final : public operation {
   public:
    receive_source* of = nullptr;
    bool payload_only = false;

   private:
    void prepare(io_uring_sqe& entry) noexcept override;
    void complete(completion what) noexcept override;
  };
  // One enter reads at most so many empty datagrams more. With 15 a flood of them is read at four fifths of the rate of
  // short datagrams; 31 gained nothing.
  static constexpr std::size_t most_drain_reads = 15;

 public:
  /// What is not touched for each datagram: the owner keeps it behind its hot members.
  struct rarely_used {
    rarely_used() noexcept;
    ~rarely_used();

    counters counted;
    std::uint64_t empties = 0;             // empty datagrams so far
    std::uint64_t buffers_when_armed = 0;  // filled buffers at that time: more means that the read took some
    std::size_t drain_reads_wanted = 0;
    std::shared_ptr<buffer_pool> pool;
    endpoint peer;  // the source of what payload-only reads bring, also of one that is called back
    std::unique_ptr<std::array<drain_read, most_drain_reads>> drain_reads;  // made when they are first wanted
    std::unique_ptr<spun_read> spun;                                        // made when the loop first spins
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
  [[gnu::always_inline]] inline void append_to_backlog(buffer& filled) noexcept;
  void send_drain_reads() noexcept;
  bool reads_payload_only() const noexcept;
  bool begin_to_spin() noexcept;

  int fd_;
  buffer_class class_ = buffer_class::large;
  state state_ = state::unarmed;
  bool payload_only_ = false;         // the armed read asks for the payload alone
  bool may_be_payload_only_ = false;  // the next one may
  bool reads_stopped_ = false;        // none is to be armed
  receiver& owner_;
  buffer_pool* pool_ = nullptr;  // the one that rarely_used::pool owns
};

}  // namespace uring6::detail
