// The filled buffers of a receiver, in the order of arrival, until readers have taken their datagrams. Each buffer has
// a datagram or a train.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <memory>
#include <vector>

#include "uring/buffer_pool.hpp"
#include "uring6/detail/open_train.hpp"
#include "uring6/detail/received_piece.hpp"
#include "uring6/detail/short_copy.hpp"
#include "uring6/released_packet.hpp"

namespace uring6::inline v0 {
class datagram_batch;
}

namespace uring6::inline v0::detail {

class receiver;

class receive_backlog final : public buffer_holder {
 public:
  /// The buffers whose datagrams another process is offered. Readers get them only if that process does not take them.
  struct set_aside_buffers {
    intrusive_list<buffer> buffers;
    std::uint32_t size = 0;
    bool all_pooled = true;
  };

  /// Members that most datagrams do not touch: the receiver stores them behind its hot members.
  struct rarely_used {
    buffer* last_moved = nullptr;  // the last used-up buffer with memory of its own: its reader may still see it
    std::uint64_t discarded = 0;   // datagrams that were received and thrown away
    std::unique_ptr<set_aside_buffers> aside{};  // while another process is offered the datagrams
  };

  explicit receive_backlog(receiver& owner) noexcept : owner_(owner) {}
  receive_backlog(const receive_backlog&) = delete;
  receive_backlog& operator=(const receive_backlog&) = delete;

  bool empty() const noexcept { return size_ == 0; }
  /// How many buffers; each has at least one datagram.
  std::uint32_t size() const noexcept { return size_; }

  void push_back(buffer& filled) noexcept {
    assert(filled.payload && "the kernel has the buffer");
    assert(filled.segment <= filled.remaining && "a datagram lies within its buffer");
    assert((filled.segment > 0 || filled.remaining == 0) && "only an empty datagram has no octet");
    if (filled.own_memory) all_pooled_ = false;
    buffers_.push_back(filled);
    ++size_;
  }

  /// Does `take_amid_a_train` apply: is the next datagram short, no longer than `room`, and not the last of its buffer?
  /// Nearly all datagrams of trains are. Precondition (asserted): not empty.
  bool next_is_amid_a_train(std::size_t room) const noexcept {
    assert(!empty());
    const buffer& from = buffers_.front();
    return from.segment < from.remaining && from.segment <= room && from.segment >= short_piece &&
           from.segment <= longest_short;
  }

  /// The fast `take` for a datagram of which `next_is_amid_a_train` is true. It calls no function, so the caller's loop
  /// keeps its registers.
  received_piece take_amid_a_train(std::byte* into) noexcept {
    assert(!empty());
    buffer& from = buffers_.front();
    const std::size_t length = from.segment;
    assert(length < from.remaining && "the last datagram of a buffer is taken by `take`, which returns the buffer");
    copy_short(into, from.payload, length);
    ++datagrams_;
    bytes_ += length;
    from.payload += length;
    from.remaining -= static_cast<std::uint32_t>(length);
    return {length, &from.first, length, false};
  }

  /// Copies the first datagram into the caller's buffer. Precondition (asserted): not empty.
  received_piece take(std::span<std::byte> into, buffer_pool& pool) noexcept {
    assert(!empty());
    buffer& from = buffers_.front();
    const std::uint32_t length = std::min(from.segment, from.remaining);
    const std::size_t copied = std::min<std::size_t>(length, into.size());
    copy_datagram(into.data(), from.payload, copied);
    const std::size_t full_length = std::size_t{length} + from.cut_off;
    ++datagrams_;
    bytes_ += full_length;
    from.payload += length;
    from.remaining -= length;
    if (from.remaining == 0) used_up(from, pool);
    return {copied, &from.first, full_length, from.first.truncated || copied < length};
  }

  /// Moves the first `count` buffers into the batch, which gives them back to the pool. Returns how many datagrams they
  /// have. Precondition (asserted): `count` is 1 to `size()`.
  std::size_t lend(datagram_batch& batch, std::uint32_t count, const std::shared_ptr<buffer_pool>& pool) noexcept;

  /// How many datagrams the first buffer has before its last one, which may be shorter; 0 if it is empty or single.
  std::uint32_t equal_datagrams() const noexcept {
    if (empty() || buffers_.front().single()) return 0;
    const buffer& from = buffers_.front();
    return (from.remaining - 1) / from.segment;
  }

  /// Opens the first buffer's train: readers take its next `count` datagrams without a call into the library.
  /// `take_back` brings the counters and the buffer up to date; until then they do not change. Precondition (asserted):
  /// `count` is at most `equal_datagrams()`.
  void open(open_train& train, std::uint32_t count) noexcept {
    assert(count <= equal_datagrams());
    assert(!train.head && "a thread has at most one open train");
    buffer& from = buffers_.front();
    train.head = &from.first;
    train.next = from.payload;
    train.length = from.segment;
    train.left = count;
  }

  /// Removes what readers took from the open train, and counts it.
  void take_back(const open_train& train) noexcept;

  /// Copies all datagrams out of the pool, so that it has its buffers again. Datagrams beyond the pool's limit are
  /// discarded and counted. A buffer stays in the backlog if there is no memory for its copy.
  void move_to_memory(buffer_pool& pool) noexcept;

  /// Discards all datagrams. `count_them`: adds them to the discarded ones; false when the caller has copies.
  void clear(buffer_pool& pool, bool count_them) noexcept;

  /// Copies of all datagrams. Throws std::bad_alloc.
  std::vector<kept_datagram> copies();

  /// Sets all buffers aside: for readers the backlog is empty until `put_back`. Precondition (asserted): none are
  /// aside.
  void set_aside(std::unique_ptr<set_aside_buffers> into) noexcept;
  bool has_set_aside() const noexcept { return rare().aside != nullptr; }
  /// Precondition of both (asserted): `set_aside` was called. `drop_aside` counts the datagrams as discarded if told
  /// so.
  void put_back(buffer_pool* pool) noexcept;
  void drop_aside(buffer_pool* pool, bool count_them) noexcept;

  std::uint64_t datagrams() const noexcept { return datagrams_; }  // that readers took
  std::uint64_t bytes() const noexcept { return bytes_; }          // of payload, as sent

 private:
  rarely_used& rare() const noexcept;
  void move_out() noexcept override;
  void used_up(buffer& what, buffer_pool& pool) noexcept;
  void shrink(std::uint32_t count) noexcept;

  receiver& owner_;
  intrusive_list<buffer> buffers_;
  std::uint32_t size_ = 0;
  bool all_pooled_ = true;  // no buffer has memory of its own
  std::uint64_t datagrams_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace uring6::inline v0::detail
