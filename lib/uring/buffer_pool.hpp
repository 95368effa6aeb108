// The memory that the kernel receives into: a ring of buffers of equal size, which all reads of a loop share. A read
// holds no buffer until data arrives; the reader gives the buffer back when it has read it. The kernel fills buffers in
// the order in which it got them. So the pool hands it only as many as it needs (the window), the buffer that was used
// last first, because that one is still in the processor's cache.
#pragma once

#include <liburing.h>

#include <algorithm>
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

namespace uring6::inline v0::detail {

class buffer_pool;

/// The size classes. Large: room for every datagram and train (UDP_GRO). Small: for conns with short datagrams.
enum class buffer_class : std::uint8_t { small, large };
inline constexpr std::size_t buffer_class_count = 2;

/// The layout of a buffer of a multishot recvmsg, octets: io_uring_recvmsg_out; the name, padded so that the control
/// messages are aligned; room for every control message that a conn can ask for; the payload, which begins a cache
/// line.
namespace buffer_layout {
inline constexpr std::size_t header = sizeof(io_uring_recvmsg_out);
inline constexpr std::size_t name = 32;
inline constexpr std::size_t control = 272;
inline constexpr std::size_t payload = header + name + control;
static_assert(header == 16 && payload % 64 == 0);
static_assert(control >= cmsg::space(~control_flags::none) + cmsg::space(sizeof(int)),
              "every control message of a conn and UDP_GRO fit");

inline constexpr std::size_t longest_datagram = 65'535;
inline constexpr std::size_t large = 66'048;
inline constexpr std::size_t small = 2'048;
static_assert(large >= payload + longest_datagram && large % 64 == 0);
inline constexpr std::size_t longest_in_small = small - payload;
static_assert(longest_in_small == 1'728, "uring6/listen.hpp says so of longest_datagram");
}  // namespace buffer_layout

/// One buffer. The kernel has it (`payload` is null), or it is filled, or free. The hook links a filled buffer into the
/// backlog of its conn or into a lent batch, and a free one into the pool's list.
struct buffer : list_hook {
  std::byte* memory = nullptr;
  std::uint16_t id = 0;

  // What was received, decoded from the header that the kernel wrote.
  std::uint32_t cut_off = 0;  // octets of the datagram for which the buffer had no room
  // The first datagram that has not been handed out; null while the kernel has the buffer, without meaning while it is
  // free.
  std::byte* payload = nullptr;
  std::uint32_t remaining = 0;  // octets from `payload` to the end
  // Octets of each datagram of a train but the last, which may be shorter; 0 only for an empty datagram.
  std::uint32_t segment = 0;
  datagram first;  // a lent batch shows this; the datagrams of a train differ from it in the payload only

  // Set for a datagram that was moved out of the pool, or taken over from another conn.
  std::unique_ptr<std::byte[]> own_memory;
  std::uint32_t charged = 0;  // octets that count against the limit of moved-out datagrams

  /// Is there one datagram left?
  bool single() const noexcept { return segment >= remaining; }

  /// How many datagrams are left. Divides only if the buffer has a train.
  std::size_t datagrams() const noexcept { return single() ? 1 : (remaining + segment - 1) / segment; }

  /// Makes `first` show the first datagram that is left.
  void show_next() noexcept {
    first.payload = {payload, single() ? remaining : segment};
    first.full_length = first.payload.size() + cut_off;
  }
};

/// A read that ended with ENOBUFS. The pool calls it when it has buffers again.
struct buffer_waiter : list_hook {
  virtual void buffers_are_back() noexcept = 0;

  /// Does a reader wait here while this conn's backlog is empty? Then only other conns can give buffers back.
  virtual bool starves() const noexcept = 0;

 protected:
  ~buffer_waiter() { unlink(); }
};

/// A backlog with buffers of the pool. If no reader takes its datagrams while other conns have no buffers, the pool
/// asks it to copy them into memory of its own.
struct buffer_holder : list_hook {
  virtual void move_out() noexcept = 0;

 protected:
  ~buffer_holder() { unlink(); }
};

class buffer_pool : public std::enable_shared_from_this<buffer_pool> {
 public:
  /// Registers a buffer ring of `count` buffers (a power of two, 2 to 32,768) of `size` octets under `group`.
  /// `moved_out_limit`: octets that copies with memory of their own may take together. Errors: out_of_range; ENOMEM;
  /// the kernel's.
  static result<std::shared_ptr<buffer_pool>> create(ring& ring, std::uint16_t group, std::size_t count,
                                                     std::size_t size, std::size_t moved_out_limit);
  buffer_pool(const buffer_pool&) = delete;
  buffer_pool& operator=(const buffer_pool&) = delete;
  ~buffer_pool();

  std::uint16_t group() const noexcept { return group_; }
  std::size_t size() const noexcept { return size_; }
  std::size_t count() const noexcept { return buffers_.size(); }

  /// The buffer that a completion names: the kernel has given it back.
  buffer& received(std::uint16_t id) noexcept {
    assert(id < buffers_.size());
    buffer& what = buffers_[id];
    assert(what.payload == nullptr && "a completion names a buffer that the kernel does not have");
    assert(available_ + missing_ > 0 && "by the pool's count the kernel has no buffer");
    if (available_ > 0) [[likely]] {
      --available_;
    } else {
      --missing_;
    }
    ++filled_;
    unpoison(what.memory, size_);
    return what;
  }

  /// Prefetches the buffer of a completion that will be handled soon.
  void prefetch_received(std::uint16_t id) const noexcept {
    const std::byte* const memory = memory_ + id * stride_;
    fetch(memory, buffer_layout::header + buffer_layout::name + usual_control);
    fetch(memory + buffer_layout::payload, cache_line);
    fetch(&buffers_[id], sizeof(buffer));
  }

  /// A free buffer, or a new one with memory of its own; nullptr if there is neither. For an empty datagram of a
  /// payload-only read, which the kernel reports with result 0 and without a buffer.
  buffer* spare() noexcept;

  /// A free buffer, into which the caller receives without the ring. The caller owns it until `give_back`, or until it
  /// is in a backlog. nullptr: no buffer is free, or the reads of the ring need it.
  buffer* draw() noexcept;
  bool can_draw() const noexcept { return !free_.empty() && available_ > 0 && !reads_wait(); }

  /// Does a read that ended with ENOBUFS wait for buffers?
  bool reads_wait() const noexcept { return !waiters_.empty() || !fed_waiters_.empty(); }

  /// A buffer was filled with a train of so many octets: with long trains the kernel gets fewer buffers.
  void count_train(std::size_t octets) noexcept { train_octets_ += octets; }

  /// Counts a drawn buffer that was filled.
  void count_filled_without_ring() noexcept { ++filled_; }

  /// Frees a buffer: the kernel gets it before buffers that were freed earlier. A buffer with memory of its own is
  /// deleted.
  void give_back(buffer& what) noexcept;

  /// Frees `count` buffers at once. None of them has memory of its own.
  void give_back(intrusive_list<buffer>& all, std::size_t count) noexcept;

  /// Frees a buffer that a completion with an error names: the kernel took it out of the ring and wrote nothing into
  /// it, as Linux 6.1 does when a read ends with EAGAIN.
  void return_unfilled(std::uint16_t id) noexcept {
    give_back(received(id));
    --filled_;
  }

  /// Called before each enter. Hands free buffers to the kernel, up to the window. Then arms waiting reads, one for
  /// each buffer that the kernel has; but not before a quarter of the pool is free, or no backlog has buffers. Returns
  /// true if the loop has to call it again after the next turn, without sleeping.
  bool publish() noexcept { return ((available_ < window_ && !free_.empty()) || reads_wait()) && publish_now(); }

  /// A read ended with ENOBUFS: doubles the window, up to the size of the pool, unless long trains limit it. Returns
  /// whether the pool itself had no free buffer.
  bool ran_out() noexcept;

  /// The read of `waiter` ended with ENOBUFS: the pool calls `buffers_are_back` when the read may be armed again. Reads
  /// that took no buffer since they were armed are armed before those that took some, because before Linux 6.8 one read
  /// may take every buffer: a flooded socket that is always armed first would leave none for the others. Returns
  /// whether the pool itself had no free buffer.
  bool wait_for_buffers(buffer_waiter& waiter, bool took_some) noexcept;

  /// How many buffers the kernel has.
  std::size_t available() const noexcept { return available_; }

  /// How many buffers the kernel will have once `publish` has handed over the free ones.
  std::size_t available_soon() const noexcept {
    return std::max(available_, std::min(window_, available_ + free_count_));
  }

  /// Lists a backlog that has buffers. The backlog unlinks itself when it has none.
  void add_holder(buffer_holder& backlog) noexcept {
    if (!backlog.linked()) holders_.push_back(backlog);
  }

  /// Is a copy of `what` within the limit? False is counted, and the caller discards the datagrams.
  bool may_move_out(const buffer& what) noexcept;

  /// Copies the buffer's datagrams into a buffer with memory of its own. nullptr: there is no memory.
  buffer* move_out(buffer& what) noexcept;

  /// Whether copies of all these datagrams are within the limit.
  bool may_copy(std::span<const kept_datagram> datagrams) const noexcept;

  /// A new buffer with memory of its own that has this datagram; nullptr if there is no memory. It counts against the
  /// limit, which the caller has asked for (`may_copy`).
  buffer* copy_of(const kept_datagram& what) noexcept;

  /// Unregisters the buffer ring, because the ring ends. The memory stays as long as the pool, which lent batches own,
  /// too.
  void detach() noexcept;

  pool_stats stats() const noexcept;

 private:
  buffer_pool(ring& ring, std::uint16_t group, std::size_t size, std::size_t moved_out_limit)
      : ring_(&ring), group_(group), size_(size), moved_out_limit_(moved_out_limit) {}

  // Buffers in the window at first: a multishot read takes up to 32 in one run (MULTISHOT_MAX_RETRY), and two may run.
  static constexpr std::size_t first_window = 64;
  // Octets of the control messages that most conns ask for; `prefetch_received` fetches these.
  static constexpr std::size_t usual_control =
      cmsg::space(control_flags::traffic_class | control_flags::hop_limit | control_flags::interface);
  // Calls of `publish` in a row that found more than half of the window unused, after which the window is halved.
  static constexpr unsigned calm_rounds_to_shrink = 64;
  // Octets of trains in the window: half of a second-level cache of 1 MB, so that a buffer is still in the cache when
  // the kernel fills it again. With the 64 buffers of the first window, trains of 62 KB went through the third level.
  static constexpr std::size_t octets_in_cache = 512 * 1024;
  // Buffers in the window with the longest trains: half of them cost a tenth more turns and saved nothing.
  static constexpr std::size_t least_window = 8;

  std::size_t low_water() const noexcept { return buffers_.size() / 4; }
  bool running_dry() const noexcept {
    const std::size_t left = available_ + free_count_;
    return left == 0 || (left <= low_water() && !holders_.empty());
  }
  void follow_trains() noexcept;
  void shrink_if_calm() noexcept;
  void set_window(std::size_t needed) noexcept;
  void hand_over() noexcept;
  bool a_waiter_starves() noexcept;
  /// What a copy of so many octets counts against the limit.
  static constexpr std::size_t charge_of(std::size_t payload) noexcept { return sizeof(buffer) + payload; }
  buffer* new_copy(std::span<const std::byte> payload) noexcept;
  void notice_lost_buffers() noexcept;
  void give_up_lost_buffers() noexcept;
  bool publish_now() noexcept;

  fork_guard fork_guard_;
  ring* ring_;
  std::uint16_t group_;
  std::size_t size_;
  std::size_t moved_out_limit_;
  std::size_t moved_out_bytes_ = 0;  // octets of the copies that are not deleted yet
  std::size_t stride_ = 0;
  std::size_t mapped_ = 0;
  std::byte* memory_ = nullptr;
  ::io_uring_buf_ring* entries_ = nullptr;
  std::size_t entries_size_ = 0;
  std::vector<buffer> buffers_;
  intrusive_list<buffer> free_;  // the buffer that was used last is the first
  std::size_t free_count_ = 0;
  std::size_t available_ = 0;
  std::size_t missing_ = 0;                    // buffers that count as lost, until a completion names them
  std::size_t window_ = 0;                     // how many buffers the kernel gets at most: the smaller of the next two
  std::size_t needed_ = 0;                     // so many, by what ran out and what was left unused
  std::size_t fitting_ = 0;                    // so many fit the cache, by the length of the trains
  unsigned calm_rounds_ = 0;                   // calls of `publish` in a row that found more than half of it unused
  intrusive_list<buffer_waiter> waiters_;      // reads that took no buffer before they ended
  intrusive_list<buffer_waiter> fed_waiters_;  // reads that took some
  intrusive_list<buffer_holder> holders_;
  bool dry_before_ = false;         // the last `publish` found the pool dry while a reader starved
  bool ended_in_vain_ = false;      // a read ended with ENOBUFS since the last `publish`
  std::uint64_t in_vain_mark_ = 0;  // filled_ + handed_over_ when a read last ended so
  unsigned in_vain_ = 0;            // such ends in a row although the kernel has buffers, with no buffer moved between
  std::uint64_t handed_over_ = 0;
  std::uint64_t filled_ = 0;
  std::uint64_t filled_before_ = 0;     // filled_ when the trains were last looked at
  std::size_t train_octets_ = 0;        // octets of the trains since then
  std::size_t octets_in_a_buffer_ = 0;  // of trains, a mean in which the latest turns weigh most
  std::uint64_t exhausted_ = 0;
  std::uint64_t moved_out_ = 0;
  std::uint64_t not_moved_out_ = 0;
  std::uint64_t lost_ = 0;
};

}  // namespace uring6::inline v0::detail
