// The memory that the kernel receives into: a ring of equal buffers that all reads of a loop share. A read holds
// no buffer until data arrives; whoever has read gives the buffer back. The kernel takes them in the order in which it
// got them, so it gets only as many as it needs, the ones used last first: what they touched is still in the cache.
#pragma once

#include <liburing.h>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "uring/asan.hpp"
#include "uring/cache.hpp"
#include "uring/fork_guard.hpp"
#include "uring/ring.hpp"
#include "uring6/datagram.hpp"
#include "uring6/detail/intrusive_list.hpp"
#include "uring6/released_packet.hpp"
#include "uring6/stats.hpp"

namespace uring6::detail {

class buffer_pool;

/// The size classes. A datagram of any legal length fits the large one, trains (UDP_GRO) need it; the small one is
/// for conns that said how long their datagrams can be.
enum class buffer_class : std::uint8_t { small, large };
inline constexpr std::size_t buffer_class_count = 2;

/// What precedes the payload in a buffer of a multishot recvmsg: io_uring_recvmsg_out, the name padded so that the
/// control messages are aligned, room for every control message that a conn can ask for, and the payload on a
/// cache line of its own.
namespace buffer_layout {
inline constexpr std::size_t header = sizeof(io_uring_recvmsg_out);
inline constexpr std::size_t name = 32;
inline constexpr std::size_t control = 272;
inline constexpr std::size_t payload = header + name + control;
static_assert(header == 16 && payload % 64 == 0);
static_assert(control >= control_space(~control_flags::none) + control_space(sizeof(int)), "UDP_GRO comes beside");

inline constexpr std::size_t longest_datagram = 65'535;
inline constexpr std::size_t large = 66'048;
inline constexpr std::size_t small = 2'048;
static_assert(large >= payload + longest_datagram && large % 64 == 0);
inline constexpr std::size_t longest_in_small = small - payload;
static_assert(longest_in_small == 1'728, "uring6/listen.hpp says so of longest_datagram");
}  // namespace buffer_layout

/// One buffer: in the kernel's hands, or filled with what it received. The hook links it into the backlog of the
/// conn it was received for, or into a lent batch.
struct buffer : list_hook {
  std::byte* memory = nullptr;
  std::uint16_t id = 0;

  // What was received, once it has been read off the header.
  std::uint32_t cut_off = 0;  // octets of the datagram that the buffer had no room for
  std::byte* payload =
      nullptr;                  // the first datagram that has not been handed out; null while the kernel has the buffer
  std::uint32_t remaining = 0;  // bytes from there to the end
  std::uint32_t segment = 0;    // length of each datagram of a train but the last; at least 1
  datagram first;               // as it is shown where it lies; all of a train have but the payload from it

  // Only of a datagram that was moved out of the pool, or that came from another conn.
  std::unique_ptr<std::byte[]> own_memory;
  std::uint32_t charged = 0;  // octets that count against the limit of what is moved out

  /// Is there one datagram, or what is left of a train: one?
  bool single() const noexcept { return segment >= remaining; }

  /// How many datagrams are left. A train alone costs a division.
  std::size_t datagrams() const noexcept { return single() ? 1 : (remaining + segment - 1) / segment; }

  /// `first` is the first one of what is left.
  void show_next() noexcept {
    first.payload = {payload, single() ? remaining : segment};
    first.full_length = first.payload.size() + cut_off;
  }
};

/// A read that ended because the pool was empty, and is told when buffers are back.
struct buffer_waiter : list_hook {
  virtual void buffers_are_back() noexcept = 0;

  /// Somebody reads here, and could give no buffer back by reading: it is others who hold them.
  virtual bool starves() const noexcept = 0;

 protected:
  ~buffer_waiter() { unlink(); }
};

/// A backlog of received buffers. Its reader may be away for long: then the datagrams are moved out of the pool
/// for the sake of the others.
struct buffer_holder : list_hook {
  virtual void move_out() noexcept = 0;

 protected:
  ~buffer_holder() { unlink(); }
};

class buffer_pool : public std::enable_shared_from_this<buffer_pool> {
 public:
  /// Registers a buffer ring of `count` (a power of two) buffers of `size` bytes under `group`.
  /// `moved_out_limit` bounds what `move_out` takes, octets.
  static result<std::shared_ptr<buffer_pool>> create(ring& ring, std::uint16_t group, std::size_t count,
                                                     std::size_t size, std::size_t moved_out_limit);
  buffer_pool(const buffer_pool&) = delete;
  buffer_pool& operator=(const buffer_pool&) = delete;
  ~buffer_pool();

  std::uint16_t group() const noexcept { return group_; }
  std::size_t size() const noexcept { return size_; }
  std::size_t count() const noexcept { return buffers_.size(); }

  /// The buffer that a completion names: it is ours now.
  buffer& received(std::uint16_t id) noexcept {
    buffer& what = buffers_[id];
    assert(what.payload == nullptr && "a completion names a buffer that the kernel does not have");
    assert(available_ + missing_ > 0);
    if (available_ > 0) [[likely]] {
      --available_;
    } else {
      --missing_;
    }
    ++filled_;
    unpoison(what.memory, size_);
    return what;
  }

  /// A completion some places on names it.
  void prefetch_received(std::uint16_t id) const noexcept {
    const std::byte* const memory = memory_ + id * stride_;
    fetch(memory, buffer_layout::header + buffer_layout::name + usual_control);
    fetch(memory + buffer_layout::payload, cache_line);
    fetch(&buffers_[id], sizeof(buffer));
  }

  /// One that the kernel does not have, or with memory of its own; nullptr if there is none of either. For what
  /// the kernel tells without a buffer.
  buffer* spare() noexcept;

  /// One that the kernel does not have, to be received into without the ring. It is the caller's until it is given
  /// back, or filled. nullptr: there is none to spare, because a read of the ring waits for one or would find none.
  buffer* draw() noexcept;
  bool can_draw() const noexcept { return !free_.empty() && available_ > 0 && !reads_wait(); }

  /// Does a read wait for buffers, which ended with ENOBUFS?
  bool reads_wait() const noexcept { return !waiters_.empty() || !fed_waiters_.empty(); }

  /// A buffer that was drawn was filled without the ring.
  void count_filled_without_ring() noexcept { ++filled_; }

  /// To be received into again, before those that rest longer. A buffer with memory of its own is deleted instead.
  void give_back(buffer& what) noexcept;

  /// The same of `count` at once, which all are the pool's.
  void give_back(intrusive_list<buffer>& all, std::size_t count) noexcept;

  /// A completion that names a buffer and reports an error: the kernel took the buffer out of the ring and put nothing
  /// into it. It is free again. Linux 6.1 ends a read with EAGAIN so.
  void return_unfilled(std::uint16_t id) noexcept {
    give_back(received(id));
    --filled_;
  }

  /// Hands free buffers to the kernel up to the window, and arms the reads that wait for buffers: one for each buffer
  /// that the kernel has, once a quarter of the pool is back or no backlog could give more back. Returns true if the
  /// loop has to call it again after another turn, without sleeping.
  bool publish() noexcept { return ((available_ < window_ && !free_.empty()) || reads_wait()) && publish_now(); }

  /// A read ended with ENOBUFS: the kernel gets twice as many buffers from now on, as far as there are.
  void ran_out() noexcept;

  /// The read of `waiter` ended with ENOBUFS: `buffers_are_back` is called when it may be armed again. Reads that took
  /// no buffer since they were armed go before those that took some. Before Linux 6.8 the kernel lets one read take
  /// every buffer there is: a flooded socket that is armed first would leave nothing for any other, each time.
  void wait_for_buffers(buffer_waiter& waiter, bool took_some) noexcept;

  /// How many buffers the kernel has.
  std::size_t available() const noexcept { return available_; }

  /// `who` has buffers that wait for its reader; it unlinks itself when it has none.
  void add_holder(buffer_holder& who) noexcept {
    if (!who.linked()) holders_.push_back(who);
  }

  /// Is there room for a copy of `what` within the limit? If not, that is counted: the caller discards its datagrams.
  bool may_move_out(const buffer& what) noexcept;

  /// A copy with memory of its own, so that the pool's buffer can go back while its reader is away.
  /// nullptr if there is no memory: then the buffer stays where it is.
  buffer* move_out(buffer& what) noexcept;

  /// A buffer with memory of its own that holds this datagram; nullptr if there is no memory.
  buffer* copy_of(const kept_datagram& what) noexcept;

  /// The ring ends: unregisters. Memory stays until the last buffer that is lent comes back.
  void detach() noexcept;

  pool_stats stats() const noexcept;

 private:
  buffer_pool(ring& ring, std::uint16_t group, std::size_t size, std::size_t moved_out_limit)
      : ring_(&ring), group_(group), size_(size), moved_out_limit_(moved_out_limit) {}

  // What the kernel has before it has asked for more: a multishot read takes 32 at a time.
  static constexpr std::size_t first_window = 64;
  // What most datagrams have: traffic class, hop limit, and where they arrived.
  static constexpr std::size_t usual_control =
      control_space(control_flags::traffic_class | control_flags::hop_limit | control_flags::interface);
  // So many times the kernel had no use for half of what it has: then it gets fewer again.
  static constexpr unsigned calm = 64;

  std::size_t low_water() const noexcept { return buffers_.size() / 4; }
  bool running_dry() const noexcept {
    const std::size_t left = available_ + free_count_;
    return left == 0 || (left <= low_water() && !holders_.empty());
  }
  void shrink_if_calm() noexcept;
  void hand_over() noexcept;
  bool a_waiter_starves() noexcept;
  buffer* new_copy(std::span<const std::byte> payload) noexcept;
  void notice_lost_buffers() noexcept;
  void give_up_lost_buffers() noexcept;
  bool publish_now() noexcept;

  fork_guard fork_guard_;
  ring* ring_;
  std::uint16_t group_;
  std::size_t size_;
  std::size_t moved_out_limit_;
  std::size_t moved_out_bytes_ = 0;  // of copies that live
  std::size_t stride_ = 0;
  std::size_t mapped_ = 0;
  std::byte* memory_ = nullptr;
  ::io_uring_buf_ring* entries_ = nullptr;
  std::size_t entries_size_ = 0;
  std::vector<buffer> buffers_;
  intrusive_list<buffer> free_;  // ours, those used last first
  std::size_t free_count_ = 0;
  std::size_t available_ = 0;
  std::size_t missing_ = 0;                    // given up as lost: the kernel's, and not named yet
  std::size_t window_ = 0;                     // how many the kernel has at most
  unsigned calm_rounds_ = 0;                   // fillings up, one after the other, that found more than half of it
  intrusive_list<buffer_waiter> waiters_;      // their last read took no buffer
  intrusive_list<buffer_waiter> fed_waiters_;  // their last read took some
  intrusive_list<buffer_holder> holders_;
  bool dry_before_ = false;
  bool ended_in_vain_ = false;      // since the last `publish` a read ended with ENOBUFS
  std::uint64_t in_vain_mark_ = 0;  // filled_ + handed_over_ at the last such end that the count did not explain
  unsigned in_vain_ = 0;            // such ends in a row without a buffer filled or handed over between them
  std::uint64_t handed_over_ = 0;
  std::uint64_t filled_ = 0;
  std::uint64_t exhausted_ = 0;
  std::uint64_t moved_out_ = 0;
  std::uint64_t not_moved_out_ = 0;
  std::uint64_t lost_ = 0;
};

}  // namespace uring6::detail
