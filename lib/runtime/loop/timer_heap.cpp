#include "runtime/loop/timer_heap.hpp"

#include <algorithm>
#include <cassert>

namespace uring6::inline v0::detail {

void timer_heap::place(std::size_t index, entry what) noexcept {
  assert(index < heap_.size() && what.timer && what.deadline == what.timer->deadline_);
  heap_[index] = what;
  what.timer->index_ = static_cast<std::uint32_t>(index);
}

void timer_heap::sift_up(std::size_t index, entry what) noexcept {
  while (index > 0) {
    const std::size_t parent = (index - 1) / arity;
    if (!is_before(what, heap_[parent])) break;
    place(index, heap_[parent]);
    index = parent;
  }
  place(index, what);
}

void timer_heap::sift_down(std::size_t index, entry what) noexcept {
  for (;;) {
    const std::size_t first = index * arity + 1;
    if (first >= heap_.size()) break;
    const std::size_t end = std::min(first + arity, heap_.size());
    std::size_t least = first;
    for (std::size_t child = first + 1; child < end; ++child) {
      if (is_before(heap_[child], heap_[least])) least = child;
    }
    if (!is_before(heap_[least], what)) break;
    place(index, heap_[least]);
    index = least;
  }
  place(index, what);
}

void timer_heap::insert(timer_node& timer) {
  assert(!timer.armed() && "a timer is in one heap, once");
  heap_.push_back({});
  timer.order_ = timers_set_++;
  sift_up(heap_.size() - 1, {timer.deadline_, &timer});
}

void timer_heap::make_room(std::size_t more) {
  assert(more > 0);
  const std::size_t needed = heap_.size() + more;
  if (needed > heap_.capacity()) heap_.reserve(std::max(needed, 2 * heap_.capacity()));
}

void timer_heap::remove(timer_node& timer) noexcept {
  const std::size_t index = timer.index_;
  assert(index < heap_.size() && heap_[index].timer == &timer && "the timer is not in this heap");
  const entry last = heap_.back();
  heap_.pop_back();
  if (last.timer == &timer) return;
  if (index > 0 && is_before(last, heap_[(index - 1) / arity])) {
    sift_up(index, last);
  } else {
    sift_down(index, last);
  }
}

unsigned timer_heap::expire(clock::time_point now, time_histogram* late) noexcept {
  unsigned fired = 0;
  // A timer that is armed again with a deadline in the past waits for the next call.
  for (std::size_t bound = heap_.size(); bound > 0 && !empty() && heap_.front().deadline <= now; --bound) {
    timer_node& due = *heap_.front().timer;
    assert(due.armed());
    if (late) [[unlikely]]
      late->record(now - due.deadline_);
    remove(due);
    due.loop_ = nullptr;
    due.expired();
    ++fired;
  }
  return fired;
}

void timer_heap::clear() noexcept {
  for (const entry& each : heap_) each.timer->loop_ = nullptr;
  heap_.clear();
}

}  // namespace uring6::inline v0::detail
