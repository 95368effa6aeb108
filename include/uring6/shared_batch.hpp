// shared_batch: the datagrams that a datagram_hub lends to several coroutines at once.
#pragma once

#include "uring6/version.hpp"

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>

#include "uring6/address.hpp"
#include "uring6/control_message.hpp"
#include "uring6/datagram.hpp"

namespace uring6::inline v0 {

namespace detail {

class hub_core;

/// A buffer with a datagram or a train, as the walks of a batch need it: four words beside those of the others, made
/// once for all walks.
struct shared_piece {
  const std::byte* begin = nullptr;
  const std::byte* end = nullptr;
  const datagram* head = nullptr;  // the datagram, or what those of the train have in common
  std::size_t segment = 0;         // octets of each datagram but the last, which may be shorter

  bool is_train() const noexcept { return static_cast<std::size_t>(end - begin) > segment; }
};

}  // namespace detail

/// A datagram of a `shared_batch`. It refers to the buffer that the kernel filled, which other coroutines read, too, so
/// the program may not write to it. Valid as long as its batch; a copy costs three words.
class shared_datagram {
 public:
  /// What was received. Size 0 is a valid, empty datagram.
  std::span<const std::byte> payload() const noexcept { return payload_; }
  /// The control information that `packet_conn::set_control_message` asked for, and the source's address.
  const control_message& control() const noexcept { return head_->control; }
  /// The sender's address and port. The zone is set for a link-local address.
  const endpoint& source() const noexcept { return head_->source; }
  /// The datagram was longer than the buffer; `payload` is its beginning. MSG_TRUNC.
  bool truncated() const noexcept { return head_->truncated; }
  /// The control information did not fit; fields missing in `control` are unknown. MSG_CTRUNC.
  bool control_truncated() const noexcept { return head_->control_truncated; }
  /// The length of the datagram on the wire, octets.
  std::size_t full_length() const noexcept { return full_length_; }

 private:
  friend class shared_batch;
  shared_datagram(std::span<const std::byte> payload, const datagram& head, std::size_t full_length) noexcept
      : payload_(payload), head_(&head), full_length_(full_length) {}

  std::span<const std::byte> payload_;
  const datagram* head_;  // the datagram or its train, as decoded
  std::size_t full_length_;
};

/// The datagrams that `subscription::receive` lends. Other subscriptions see the same buffers at the same time. A batch
/// is a view: it is valid until the next `receive` of its subscription, `subscription::release`, or the subscription's
/// end, also after the conn, the hub or the loop has gone.
///
///     for (const auto each : *batch) use(each.payload(), each.control(), each.source());
///
/// Any number of iterators may walk a batch at the same time, each with its own place.
class shared_batch {
 public:
  class iterator;

  /// The number of datagrams, at least 1. A train (UDP_GRO) counts as the datagrams that its sender sent.
  std::size_t size() const noexcept { return size_; }

  /// Datagrams that the subscription has missed since the batch before this one, because it was behind
  /// (`when_behind::skip`) or there was no memory.
  std::uint64_t missed() const noexcept { return missed_; }

  iterator begin() const noexcept;
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  friend class detail::hub_core;
  shared_batch(std::span<const detail::shared_piece> pieces, std::size_t size, std::uint64_t missed) noexcept
      : pieces_(pieces), size_(size), missed_(missed) {}

  std::span<const detail::shared_piece> pieces_;
  std::size_t size_;
  std::uint64_t missed_;
};

/// Walks a batch datagram by datagram.
class shared_batch::iterator {
 public:
  /// What `->` needs of a value.
  struct pointer {
    shared_datagram value;
    const shared_datagram* operator->() const noexcept { return &value; }
  };
  using value_type = shared_datagram;
  using difference_type = std::ptrdiff_t;

  shared_datagram operator*() const noexcept {
    return {{at_, length_}, *piece_->head, piece_->is_train() ? length_ : piece_->head->full_length};
  }
  pointer operator->() const noexcept { return {**this}; }

  iterator& operator++() noexcept {
    at_ += length_;
    if (at_ == piece_->end) {
      next_train();
    } else if (const auto left = static_cast<std::size_t>(piece_->end - at_); left < length_) {
      length_ = left;  // the last datagram of a train may be shorter
    }
    return *this;
  }
  iterator operator++(int) noexcept {
    const iterator before = *this;
    ++*this;
    return before;
  }

  /// The payloads of the shown datagram and of those behind it in its train, one after the other in memory; of a single
  /// datagram its payload. Each is as long as the shown one, but the last may be shorter: `write_slot::segment`.
  std::span<const std::byte> train() const noexcept { return {at_, piece_->end}; }

  /// Goes on to the first datagram behind this train.
  void next_train() noexcept {
    ++piece_;
    open();
  }

  bool operator==(std::default_sentinel_t) const noexcept { return piece_ == last_; }

 private:
  friend class shared_batch;
  explicit iterator(std::span<const detail::shared_piece> pieces) noexcept
      : piece_(pieces.data()), last_(pieces.data() + pieces.size()) {
    open();
  }

  void open() noexcept {
    if (piece_ == last_) return;
    at_ = piece_->begin;
    length_ = piece_->segment;
  }

  // Pointers and no spans: an iterator lies in the frame of a coroutine, where each member is memory, and a step within
  // a train then writes one.
  const detail::shared_piece* piece_;
  const detail::shared_piece* last_;  // the place behind the last one
  const std::byte* at_ = nullptr;     // the payload of the shown datagram
  std::size_t length_ = 0;            // its octets
};

inline shared_batch::iterator shared_batch::begin() const noexcept {
  return iterator(pieces_);
}

}  // namespace uring6::inline v0
