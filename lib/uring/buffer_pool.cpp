#include "uring/buffer_pool.hpp"

#include <sys/mman.h>
#include <cassert>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "uring/cache.hpp"

namespace uring6::inline v0::detail {
namespace {

/// Octets from one buffer to the next: an odd number of cache lines. Short datagrams use only the beginning of a
/// buffer; with an even number the beginnings of all buffers would share a fraction of the first-level cache's sets.
constexpr std::size_t stride_of(std::size_t size) noexcept {
  const std::size_t lines = (size + cache_line - 1) / cache_line;
  return (lines | 1) * cache_line;
}

std::byte* map_memory(std::size_t size) noexcept {
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<std::byte*>(memory);
}

}  // namespace

result<std::shared_ptr<buffer_pool>> buffer_pool::create(ring& ring, std::uint16_t group, std::size_t count,
                                                         std::size_t size, std::size_t moved_out_limit) {
  if (count < 2 || count > 32'768 || (count & (count - 1)) != 0) return fail(errc::out_of_range);
  std::shared_ptr<buffer_pool> made(new buffer_pool(ring, group, size, moved_out_limit));

  made->entries_size_ = count * sizeof(::io_uring_buf);
  made->entries_ = reinterpret_cast<::io_uring_buf_ring*>(map_memory(made->entries_size_));
  made->stride_ = stride_of(size);
  made->mapped_ = count * made->stride_;
  made->memory_ = map_memory(made->mapped_);
  if (!made->entries_ || !made->memory_) return fail_errno(ENOMEM);
  // Huge pages: fewer page faults while the pool is new. Errors are ignored, because pages of any size will do.
  ::madvise(made->memory_, made->mapped_, MADV_HUGEPAGE);
  ::madvise(made->memory_, made->mapped_, MADV_DONTFORK);
  ::madvise(made->entries_, made->entries_size_, MADV_DONTFORK);

  ::io_uring_buf_ring_init(made->entries_);
  ::io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uint64_t>(made->entries_);
  registration.ring_entries = static_cast<std::uint32_t>(count);
  registration.bgid = group;
  if (const int code = ring.add_buffers(registration); code < 0) {
    made->ring_ = nullptr;
    return fail_errno(-code);
  }

  made->buffers_ = std::vector<buffer>(count);
  made->fitting_ = count;
  made->set_window(std::min(count, first_window));
  for (std::size_t index = count; index-- > 0;) {
    buffer& each = made->buffers_[index];
    each.memory = made->memory_ + index * made->stride_;
    each.id = static_cast<std::uint16_t>(index);
    made->give_back(each);
  }
  made->publish();
  return made;
}

buffer_pool::~buffer_pool() {
  if (fork_guard_.forked()) return;  // MADV_DONTFORK: the memory is not mapped in this process
  detach();
  unpoison(memory_, mapped_);
  if (memory_) ::munmap(memory_, mapped_);
  if (entries_) ::munmap(entries_, entries_size_);
}

void buffer_pool::detach() noexcept {
  if (!ring_ || fork_guard_.forked()) return;
  ring_->remove_buffers(group_);
  ring_ = nullptr;
}

buffer* buffer_pool::spare() noexcept {
  if (!free_.empty()) {
    buffer& what = free_.pop_front();
    --free_count_;
    what.payload = what.memory;
    unpoison(what.memory, size_);
    return &what;
  }
  auto* made = new (std::nothrow) buffer;
  if (!made) return nullptr;
  made->own_memory.reset(new (std::nothrow) std::byte[1]);
  if (!made->own_memory) {
    delete made;
    return nullptr;
  }
  made->memory = made->payload = made->own_memory.get();
  return made;
}

buffer* buffer_pool::draw() noexcept {
  if (!can_draw()) return nullptr;
  buffer& what = free_.pop_front();
  --free_count_;
  what.payload = what.memory;
  unpoison(what.memory, size_);
  return &what;
}

void buffer_pool::give_back(buffer& what) noexcept {
  assert(!what.linked() && "the buffer is free, or in a list");
  if (what.own_memory) {
    assert(moved_out_bytes_ >= what.charged);
    moved_out_bytes_ -= what.charged;
    delete &what;
    return;
  }
  assert(&what == &buffers_[what.id] && "the buffer is another pool's");
  poison(what.memory, size_);
  free_.push_front(what);
  ++free_count_;
  assert(free_count_ <= buffers_.size());
}

void buffer_pool::give_back(intrusive_list<buffer>& all, std::size_t count) noexcept {
  assert(count > 0 && !all.empty() && free_count_ + count <= buffers_.size());
  if constexpr (poisons) all.for_each([this](const buffer& each) { poison(each.memory, size_); });
  free_.splice_front(all);
  free_count_ += count;
}

void buffer_pool::set_window(std::size_t needed) noexcept {
  needed_ = needed;
  window_ = std::min(needed_, fitting_);
  assert(needed_ > 0 && needed_ <= buffers_.size() && window_ > 0);
}

// Limits the window to what the cache holds, by the octets of trains that lately came in a buffer. A read that ends
// because the window is small is armed again with the next enter, which a window of trains pays for many times over.
void buffer_pool::follow_trains() noexcept {
  const std::uint64_t filled = filled_ - std::exchange(filled_before_, filled_);
  if (filled == 0 || (train_octets_ == 0 && octets_in_a_buffer_ == 0)) return;
  octets_in_a_buffer_ = (octets_in_a_buffer_ + std::exchange(train_octets_, 0) / filled) / 2;
  const std::size_t fitting = octets_in_cache / std::max(octets_in_a_buffer_, std::size_t{1});
  fitting_ = std::clamp(fitting, std::min(least_window, buffers_.size()), buffers_.size());
  set_window(needed_);
}

// Halves the window after a burst: with a wide window the kernel would cycle through all buffers of the pool, which do
// not fit the cache. The kernel keeps the buffers beyond the new window until it has filled them.
void buffer_pool::shrink_if_calm() noexcept {
  assert(window_ > 0 && window_ <= buffers_.size());
  calm_rounds_ = available_ * 2 > window_ ? calm_rounds_ + 1 : 0;
  if (calm_rounds_ < calm_rounds_to_shrink) return;
  calm_rounds_ = 0;
  set_window(std::max(needed_ / 2, std::min(first_window, buffers_.size())));
}

void buffer_pool::hand_over() noexcept {
  if (!ring_) return;
  assert((free_count_ == 0) == free_.empty() && "the count is that of the list");
  if (available_ >= window_) return;
  const std::size_t count = std::min(window_ - available_, free_count_);
  const auto length = static_cast<unsigned>(size_);
  const int mask = ::io_uring_buf_ring_mask(static_cast<std::uint32_t>(buffers_.size()));
  list_hook* at = free_.first();
  for (std::size_t i = 0; i < count; ++i, at = at->next) {
    auto& next = static_cast<buffer&>(*at);
    assert(!next.own_memory && next.memory == memory_ + next.id * stride_ &&
           "the kernel gets buffers of the pool only");
    next.payload = nullptr;
    ::io_uring_buf_ring_add(entries_, next.memory, length, next.id, mask, static_cast<int>(i));
  }
  free_.cut_front(*at);
  free_count_ -= count;
  available_ += count;
  handed_over_ += count;
  assert(available_ + free_count_ + missing_ <= buffers_.size() && "each buffer is counted once");
  ::io_uring_buf_ring_advance(entries_, static_cast<int>(count));
}

// Notices buffers that the kernel took and that no completion named: the kernel reports ENOBUFS although by the pool's
// count it has buffers, and does so again after the reads were armed anew and no buffer has moved. No kernel is known
// to lose buffers. With a wrong count the pool would hand over no more buffers, and every read of the loop would end
// with ENOBUFS.
void buffer_pool::notice_lost_buffers() noexcept {
  if (!std::exchange(ended_in_vain_, false) || !ring_ || !ring_->all_reaped()) return;
  const std::uint64_t mark = filled_ + handed_over_;
  in_vain_ = available_ > 0 && mark == in_vain_mark_ ? in_vain_ + 1 : 0;
  in_vain_mark_ = mark;
  constexpr unsigned certain = 2;  // ends in a row: the first may be of a read that ended before the last hand-over
  if (in_vain_ >= certain) give_up_lost_buffers();
}

// Lost buffers are not handed over again, because the kernel may still write into them. If a completion names one after
// all, the pool has it again.
void buffer_pool::give_up_lost_buffers() noexcept {
  assert(available_ > 0 && in_vain_ > 0);
  lost_ += available_;
  missing_ += available_;
  available_ = 0;
  in_vain_ = 0;
}

bool buffer_pool::publish_now() noexcept {
  notice_lost_buffers();
  follow_trains();
  shrink_if_calm();
  hand_over();
  if (!reads_wait()) return false;
  if (running_dry()) {
    if (!a_waiter_starves() || holders_.empty()) return false;
    // Readers get one turn to give buffers back. After that, backlogs without a reader are moved out of the pool.
    if (!std::exchange(dry_before_, true)) return true;
    holders_.for_each([](buffer_holder& each) { each.move_out(); });
    hand_over();
    if (running_dry()) return false;
  }
  dry_before_ = false;
  // One read for each buffer: any more would end with ENOBUFS again.
  for (std::size_t left = available_; left > 0 && reads_wait(); --left) {
    buffer_waiter& next = waiters_.empty() ? fed_waiters_.pop_front() : waiters_.pop_front();
    next.buffers_are_back();
  }
  return reads_wait();
}

bool buffer_pool::a_waiter_starves() noexcept {
  bool starves = false;
  const auto ask = [&starves](const buffer_waiter& each) { starves |= each.starves(); };
  waiters_.for_each(ask);
  fed_waiters_.for_each(ask);
  return starves;
}

bool buffer_pool::ran_out() noexcept {
  const bool empty = free_.empty();
  if (empty) ++exhausted_;
  ended_in_vain_ = true;
  if (needed_ <= fitting_) set_window(std::min(needed_ * 2, buffers_.size()));
  calm_rounds_ = 0;
  return empty;
}

bool buffer_pool::wait_for_buffers(buffer_waiter& waiter, bool took_some) noexcept {
  if (!waiter.linked()) (took_some ? fed_waiters_ : waiters_).push_back(waiter);
  return ran_out();
}

bool buffer_pool::may_move_out(const buffer& what) noexcept {
  if (moved_out_bytes_ + charge_of(what.remaining) <= moved_out_limit_) return true;
  ++not_moved_out_;
  return false;
}

bool buffer_pool::may_copy(std::span<const kept_datagram> datagrams) const noexcept {
  std::size_t charge = 0;
  for (const kept_datagram& each : datagrams) charge += charge_of(each.payload.size());
  return moved_out_bytes_ + charge <= moved_out_limit_;
}

buffer* buffer_pool::move_out(buffer& what) noexcept {
  assert(!what.own_memory && what.payload && "only a filled buffer of the pool is moved out of it");
  buffer* const copy = new_copy({what.payload, what.remaining});
  if (!copy) return nullptr;
  copy->segment = what.segment;
  copy->cut_off = what.cut_off;
  copy->first = what.first;
  copy->show_next();
  ++moved_out_;
  return copy;
}

buffer* buffer_pool::copy_of(const kept_datagram& what) noexcept {
  buffer* const copy = new_copy(what.payload);
  if (!copy) return nullptr;
  copy->segment = copy->remaining;
  copy->cut_off = static_cast<std::uint32_t>(what.full_length - std::min(what.full_length, what.payload.size()));
  copy->first.control = what.control;
  copy->first.source = what.source;
  copy->first.truncated = what.truncated;
  copy->first.control_truncated = what.control_truncated;
  copy->show_next();
  return copy;
}

buffer* buffer_pool::new_copy(std::span<const std::byte> payload) noexcept {
  std::unique_ptr<buffer> copy(new (std::nothrow) buffer);
  if (!copy) return nullptr;
  copy->own_memory.reset(
      new (std::nothrow)
          std::byte[payload.size() + 1]);  // at least one octet, because a null `own_memory` means the pool's memory
  if (!copy->own_memory) return nullptr;
  copy->payload = copy->own_memory.get();
  copy->remaining = static_cast<std::uint32_t>(payload.size());
  std::ranges::copy(payload, copy->payload);
  copy->charged = static_cast<std::uint32_t>(charge_of(payload.size()));
  moved_out_bytes_ += copy->charged;
  return copy.release();
}

pool_stats buffer_pool::stats() const noexcept {
  assert(available_ + free_count_ + missing_ <= buffers_.size());
  return {.buffers = buffers_.size(),
          .buffer_size = size_,
          .in_kernel = available_,
          .in_use = buffers_.size() - available_ - free_count_ - missing_,
          .filled = filled_,
          .exhausted = exhausted_,
          .moved_out = moved_out_,
          .moved_out_bytes = moved_out_bytes_,
          .not_moved_out = not_moved_out_,
          .lost = lost_};
}

}  // namespace uring6::inline v0::detail
