#include "uring6/datagram_batch.hpp"

#include <utility>

#include "uring/buffer_pool.hpp"

namespace uring6 {

datagram_batch::datagram_batch(datagram_batch&& other) noexcept
    : pool_(std::move(other.pool_)), size_(std::exchange(other.size_, 0)) {
  buffers_.splice_back(other.buffers_);
}

datagram_batch& datagram_batch::operator=(datagram_batch&& other) noexcept {
  if (this != &other) {
    clear();
    pool_ = std::move(other.pool_);
    size_ = std::exchange(other.size_, 0);
    buffers_.splice_back(other.buffers_);
  }
  return *this;
}

void datagram_batch::clear() noexcept {
  while (!buffers_.empty()) pool_->give_back(static_cast<detail::buffer&>(buffers_.pop_front()));
  size_ = 0;
}

datagram_batch::iterator datagram_batch::begin() const noexcept {
  return {*this, buffers_.first()};
}

void datagram_batch::iterator::open(detail::list_hook* which) noexcept {
  if (batch_->buffers_.is_end(which)) {
    at_end_ = true;
    return;
  }
  const auto& from = static_cast<const detail::buffer&>(*which);
  next_ = which->next;
  shown_ = {.payload = {},
            .control = from.control,
            .source = from.source,
            .truncated = from.truncated,
            .control_truncated = from.control_truncated};
  rest_ = {from.payload, from.remaining};
  segment_ = from.segment;
  cut();
  shown_.full_length += from.cut_off;
}

}  // namespace uring6
