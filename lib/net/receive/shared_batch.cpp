#include "uring6/shared_batch.hpp"

#include <cassert>

#include "uring/buffer_pool.hpp"
#include "uring6/datagram_batch.hpp"

namespace uring6::inline v0 {

shared_batch::iterator shared_batch::begin() const noexcept {
  return {*datagrams_, datagrams_->buffers_.first()};
}

// Unlike that of a datagram_batch, this iterator writes nothing to the buffer, because others walk it at the same time.
void shared_batch::iterator::open(detail::list_hook* which) noexcept {
  if (datagrams_->buffers_.is_end(which)) {
    head_ = nullptr;
    return;
  }
  const auto& from = static_cast<const detail::buffer&>(*which);
  next_ = which->next;
  assert(from.payload && "the kernel has the buffer: it was given back while a batch had it");
  head_ = &from.first;
  at_ = from.payload;
  end_ = at_ + from.remaining;
  length_ = from.segment;
  is_of_train_ = !from.single();
  show();
}

}  // namespace uring6::inline v0
