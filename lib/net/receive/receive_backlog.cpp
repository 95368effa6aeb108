#include "net/receive/receive_backlog.hpp"

#include <cassert>

#include "net/receive/receiver.hpp"
#include "uring6/datagram_batch.hpp"

namespace uring6::inline v0::detail {

receive_backlog::rarely_used& receive_backlog::rare() const noexcept {
  return owner_.backlog_rarely_used_;
}

void receive_backlog::move_out() noexcept {
  owner_.make_room();
}

// The last datagram of the buffer was taken. The reader's view points into a buffer with memory of its own, so such a
// buffer is kept until the next one is used up.
void receive_backlog::used_up(buffer& what, buffer_pool& pool) noexcept {
  assert(what.remaining == 0);
  static_cast<list_hook&>(what).unlink();
  shrink(1);
  if (!what.own_memory) return pool.give_back(what);
  if (buffer* const before = std::exchange(rare().last_moved, &what)) pool.give_back(*before);
}

void receive_backlog::shrink(std::uint32_t count) noexcept {
  assert(count <= size_);
  size_ -= count;
  assert((size_ == 0) == buffers_.empty() && "the buffers leave the list before they are counted out");
  if (size_ > 0) return;
  buffer_holder::unlink();
  all_pooled_ = true;
}

void receive_backlog::take_back(const open_train& train) noexcept {
  assert(!empty());
  buffer& from = buffers_.front();
  assert(train.next >= from.payload && train.length == from.segment && "the train is that of the first buffer");
  const auto taken = static_cast<std::uint32_t>(train.next - from.payload);
  assert(taken < from.remaining && taken % train.length == 0);
  from.payload = train.next;
  from.remaining -= taken;
  datagrams_ += taken / train.length;
  bytes_ += taken;
}

std::size_t receive_backlog::lend(datagram_batch& batch, std::uint32_t count,
                                  const std::shared_ptr<buffer_pool>& pool) noexcept {
  assert(count > 0 && count <= size_);
  assert(pool && batch.buffers_.empty() && "the batch has returned its buffers to the pool that it had");
  // Readers may have taken datagrams from the first buffer's train: show the batch the rest.
  buffers_.front().show_next();

  list_hook* end = buffers_.first();
  std::size_t datagrams = 0;
  for (std::uint32_t i = 0; i < count; ++i, end = end->next) {
    const auto& each = static_cast<const buffer&>(*end);
    datagrams += each.datagrams();
    bytes_ += each.remaining + each.cut_off;
  }
  datagrams_ += datagrams;

  if (batch.pool_ != pool) batch.pool_ = pool;
  batch.buffers_.splice_back(buffers_, *end);
  batch.buffer_count_ = count;
  batch.size_ = datagrams;
  batch.all_pooled_ = all_pooled_;
  shrink(count);
  return datagrams;
}

void receive_backlog::move_to_memory(buffer_pool& pool) noexcept {
  assert(this_threads_train.owner != &owner_ && "an open train points into a buffer that would be freed");
  intrusive_list<buffer> moved;
  while (!buffers_.empty()) {
    buffer& from = buffers_.pop_front();
    if (from.own_memory) {
      moved.push_back(from);
      continue;
    }
    if (!pool.may_move_out(from)) {
      rare().discarded += from.datagrams();
      --size_;
      pool.give_back(from);
      continue;
    }
    buffer* const copy = pool.move_out(from);
    if (copy) pool.give_back(from);
    moved.push_back(copy ? *copy : from);
  }
  buffers_.splice_back(moved);
  assert((size_ == 0) == buffers_.empty());
  all_pooled_ = buffers_.empty();
  buffer_holder::unlink();
}

void receive_backlog::clear(buffer_pool& pool, bool count_them) noexcept {
  assert(this_threads_train.owner != &owner_ && "an open train points into a buffer that would be freed");
  buffer_holder::unlink();
  while (!buffers_.empty()) {
    buffer& each = buffers_.pop_front();
    if (count_them) rare().discarded += each.datagrams();
    pool.give_back(each);
  }
  size_ = 0;
  all_pooled_ = true;
}

std::vector<kept_datagram> receive_backlog::copies() {
  assert(this_threads_train.owner != &owner_ && "the first buffer does not say yet what readers took of its train");
  std::vector<kept_datagram> kept;
  buffers_.for_each([&kept](const buffer& each) {
    const std::byte* payload = each.payload;
    for (std::uint32_t left = each.remaining, length = 0;; left -= length, payload += length) {
      length = std::min(each.segment, left);
      kept.push_back({.payload = std::vector<std::byte>(payload, payload + length),
                      .control = each.first.control,
                      .source = each.first.source,
                      .truncated = each.first.truncated,
                      .control_truncated = each.first.control_truncated,
                      .full_length = std::size_t{length} + each.cut_off});
      if (length == left) break;
    }
  });
  return kept;
}

// The pool may not move these buffers out: the backlog leaves its list of holders.
void receive_backlog::set_aside(std::unique_ptr<set_aside_buffers> into) noexcept {
  assert(into && into->size == 0 && !has_set_aside());
  assert(this_threads_train.owner != &owner_ && "an open train points into a buffer that readers may not see");
  into->buffers.splice_back(buffers_);
  into->size = std::exchange(size_, 0);
  into->all_pooled = std::exchange(all_pooled_, true);
  buffer_holder::unlink();
  rare().aside = std::move(into);
}

void receive_backlog::put_back(buffer_pool* pool) noexcept {
  assert(has_set_aside());
  const std::unique_ptr<set_aside_buffers> aside = std::exchange(rare().aside, nullptr);
  if (aside->size == 0) return;
  assert(pool && "buffers came from a pool");
  buffers_.splice_front(aside->buffers);
  size_ += aside->size;
  all_pooled_ = all_pooled_ && aside->all_pooled;
  pool->add_holder(*this);
}

void receive_backlog::drop_aside(buffer_pool* pool, bool count_them) noexcept {
  assert(has_set_aside());
  const std::unique_ptr<set_aside_buffers> aside = std::exchange(rare().aside, nullptr);
  while (!aside->buffers.empty()) {
    assert(pool && "buffers came from a pool");
    buffer& each = aside->buffers.pop_front();
    if (count_them) rare().discarded += each.datagrams();
    pool->give_back(each);
  }
}

}  // namespace uring6::inline v0::detail
