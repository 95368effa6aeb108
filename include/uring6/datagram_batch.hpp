// datagram_batch: the datagrams that `receive` lends, in the buffers that the kernel filled.
#pragma once

#include "uring6/version.hpp"

#include <cstddef>
#include <iterator>
#include <memory>
#include <span>

#include "uring6/datagram.hpp"
#include "uring6/detail/intrusive_list.hpp"
#include "uring6/export.hpp"

namespace uring6::inline v0 {

namespace detail {
struct buffer;
class buffer_pool;
class hub_core;
class receive_backlog;
class receive_operation;
}  // namespace detail

/// A batch of received datagrams, lent without a copy. Make one batch, pass it to every `receive`, and walk it:
///
///     uring6::datagram_batch batch;
///     while (co_await pc.receive(batch)) {
///       for (const uring6::datagram& each : batch) use(each.payload, each.control, each.source);
///     }
///
/// The buffers go back to the loop's pool with `clear`, when the `co_await` of the next `receive` begins, or when the
/// batch is destroyed. The payloads are valid until then, also after the conn or the loop has gone. The program may
/// write to a payload, for an answer in place; it keeps the batch until the write of that answer has ended. A batch
/// that is kept for long takes buffers away from all conns of its loop.
///
/// Keep copies of the datagrams, not pointers to them: the iterator shows all datagrams of a train in one place.
///
/// Use a batch on the loop's thread only.
class URING6_EXPORT datagram_batch {
 public:
  class iterator;

  datagram_batch() noexcept = default;
  datagram_batch(datagram_batch&& other) noexcept;
  datagram_batch& operator=(datagram_batch&& other) noexcept;
  ~datagram_batch() { clear(); }

  /// The number of datagrams. A train (UDP_GRO) counts as the datagrams that its sender sent.
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }

  iterator begin() const noexcept;
  std::default_sentinel_t end() const noexcept { return {}; }

  /// Gives the buffers back. Every payload of the batch is invalid afterwards.
  void clear() noexcept;

 private:
  friend class iterator;
  friend class detail::hub_core;
  friend class detail::receive_backlog;

  detail::intrusive_list<detail::buffer> buffers_;
  std::shared_ptr<detail::buffer_pool> pool_;
  std::size_t buffer_count_ = 0;
  std::size_t size_ = 0;
  bool all_pooled_ = true;  // no buffer of the batch has memory of its own
};

/// Walks a batch datagram by datagram, in one pass. It shows all datagrams of a train in the same place, so a
/// reference to a datagram is valid until `++`, and of two iterators into one batch only the newer one is valid.
class URING6_EXPORT datagram_batch::iterator {
 public:
  using value_type = datagram;
  using difference_type = std::ptrdiff_t;

  const datagram& operator*() const noexcept { return *shown_; }
  const datagram* operator->() const noexcept { return shown_; }

  iterator& operator++() noexcept {
    if (rest_.empty()) {
      open(next_);
    } else {
      show(rest_.first(rest_.size() < segment_ ? rest_.size() : segment_));
    }
    return *this;
  }
  void operator++(int) noexcept { ++*this; }

  /// The payloads of the shown datagram and of those behind it in its train, one after the other in memory; of a single
  /// datagram its payload. Each is as long as the shown one, but the last may be shorter. To send them on:
  ///
  ///     for (auto it = batch.begin(); it != batch.end(); it.next_train()) {
  ///       slots.push_back({.payload = it.train(), .destination = peer, .segment = it->payload.size()});
  ///     }
  std::span<std::byte> train() const noexcept {
    return {shown_->payload.data(), shown_->payload.size() + rest_.size()};
  }

  /// Goes on to the first datagram behind this train.
  void next_train() noexcept {
    rest_ = {};
    open(next_);
  }

  bool operator==(std::default_sentinel_t) const noexcept { return shown_ == nullptr; }

 private:
  friend class datagram_batch;
  iterator(const datagram_batch& batch, detail::list_hook* first) noexcept : batch_(&batch) { open(first); }

  void open(detail::list_hook* which) noexcept;
  void show(std::span<std::byte> piece) noexcept {
    shown_->payload = piece;
    shown_->full_length = piece.size();
    rest_ = rest_.subspan(piece.size());
  }

  // An iterator lies in the frame of the walking coroutine. Ten thousand such frames do not fit into the cache, so an
  // iterator holds no copy of a datagram.
  const datagram_batch* batch_;
  detail::list_hook* next_ = nullptr;
  datagram* shown_ = nullptr;  // the shown datagram, where it lies; nullptr at the end
  std::span<std::byte> rest_;  // the rest of its train
  std::size_t segment_ = 0;
};

}  // namespace uring6::inline v0
