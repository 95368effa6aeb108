// The timers of one loop: a 4-ary heap. Each timer stores its index, so setting and canceling a timer takes logarithmic
// time, and reading the next deadline constant time.
#pragma once

#include <cassert>
#include <vector>

#include "uring6/detail/waiting.hpp"

namespace uring6::detail {

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

  /// Removes the timers that are due at `now` and calls `expired` of each, in the order of their deadlines. Returns how
  /// many. At most as many expire as there were at the call: timers that are set meanwhile cannot keep the loop here.
  unsigned expire(clock::time_point now) noexcept;

  /// Removes all timers without calling `expired`: the loop ends.
  void clear() noexcept;

 private:
  // Has a copy of the deadline, so that a comparison does not read the timer.
  struct entry {
    clock::time_point deadline;
    timer_node* timer;
  };

  static constexpr std::size_t arity = 4;

  void place(std::size_t index, entry what) noexcept;
  void sift_up(std::size_t index, entry what) noexcept;
  void sift_down(std::size_t index, entry what) noexcept;

  std::vector<entry> heap_;
};

}  // namespace uring6::detail
