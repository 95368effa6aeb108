// The timers of one loop: a 4-ary heap. Each timer stores its index, so setting and canceling a timer takes logarithmic
// time, and reading the next deadline constant time.
#pragma once

#include <cassert>
#include <cstdint>
#include <vector>

#include "uring6/detail/waiting.hpp"
#include "uring6/turn_times.hpp"

namespace uring6::inline v0::detail {

class timer_heap {
 public:
  bool empty() const noexcept { return heap_.empty(); }
  std::size_t size() const noexcept { return heap_.size(); }
  /// The earliest deadline. Precondition (asserted): not empty.
  clock::time_point next() const noexcept {
    assert(!empty());
    return heap_.front().deadline;
  }

  void insert(timer_node& timer);

  /// After that so many more timers are inserted without an allocation, until another one is. Throws std::bad_alloc.
  void make_room(std::size_t more);

  void remove(timer_node& timer) noexcept;

  /// Removes the timers that are due at `now` and calls `expired` of each, in the order of their deadlines; with equal
  /// deadlines, which are frequent in simulated time, in the order in which they were set. Returns how many. At most as
  /// many expire as there were at the call: timers that are set meanwhile cannot keep the loop here.
  /// `late` counts how long after their deadlines they were taken; nullptr: not measured.
  unsigned expire(clock::time_point now, time_histogram* late = nullptr) noexcept;

  /// Removes all timers without calling `expired`: the loop ends.
  void clear() noexcept;

 private:
  // Has a copy of the deadline, so that a comparison of different ones does not read the timer.
  struct entry {
    clock::time_point deadline;
    timer_node* timer;
  };

  static constexpr std::size_t arity = 4;

  // The orders are compared as sequence numbers (RFC 1982), so they may wrap around.
  static bool is_before(const entry& one, const entry& other) noexcept {
    if (one.deadline != other.deadline) [[likely]]
      return one.deadline < other.deadline;
    return static_cast<std::int32_t>(one.timer->order_ - other.timer->order_) < 0;
  }
  void place(std::size_t index, entry what) noexcept;
  void sift_up(std::size_t index, entry what) noexcept;
  void sift_down(std::size_t index, entry what) noexcept;

  std::vector<entry> heap_;
  std::uint32_t timers_set_ = 0;
};

}  // namespace uring6::inline v0::detail
