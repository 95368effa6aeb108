#include "uring6/datagram_batch.hpp"

#include <cassert>
#include <utility>

#include "uring/buffer_pool.hpp"

namespace uring6::inline v0 {

datagram_batch::datagram_batch(datagram_batch&& other) noexcept
    : pool_(std::move(other.pool_)),
      buffer_count_(std::exchange(other.buffer_count_, 0)),
      size_(std::exchange(other.size_, 0)),
      all_pooled_(std::exchange(other.all_pooled_, true)) {
  buffers_.splice_back(other.buffers_);
}

datagram_batch& datagram_batch::operator=(datagram_batch&& other) noexcept {
  if (this != &other) {
    clear();
    pool_ = std::move(other.pool_);
    buffer_count_ = std::exchange(other.buffer_count_, 0);
    size_ = std::exchange(other.size_, 0);
    all_pooled_ = std::exchange(other.all_pooled_, true);
    buffers_.splice_back(other.buffers_);
  }
  return *this;
}

void datagram_batch::clear() noexcept {
  assert(buffers_.empty() == (buffer_count_ == 0) && buffers_.empty() == (size_ == 0));
  if (buffers_.empty()) return;
  assert(pool_ && buffer_count_ > 0);
  if (all_pooled_) {
    pool_->give_back(buffers_, buffer_count_);
  } else {
    while (!buffers_.empty()) pool_->give_back(buffers_.pop_front());
  }
  buffer_count_ = 0;
  size_ = 0;
  all_pooled_ = true;
}

datagram_batch::iterator datagram_batch::begin() const noexcept {
  return {*this, buffers_.first()};
}

void datagram_batch::iterator::open(detail::list_hook* which) noexcept {
  if (batch_->buffers_.is_end(which)) {
    shown_ = nullptr;
    return;
  }
  auto& from = static_cast<detail::buffer&>(*which);
  next_ = which->next;
  assert(from.payload && "the kernel has the buffer: it was given back while a batch had it");
  shown_ = &from.first;
  if (from.single()) return;
  segment_ = from.segment;
  rest_ = {from.payload, from.remaining};
  show(rest_.first(segment_));  // it may have been walked before
}

}  // namespace uring6::inline v0
