// The timers of one loop: a 4-ary heap, each timer knowing its place, so that setting and canceling any of a
// million takes logarithmic time and the next deadline none.
#pragma once

#include <vector>

#include "uring6/detail/waiting.hpp"

namespace uring6::detail {

class timer_heap {
 public:
  bool empty() const noexcept { return heap_.empty(); }
  std::size_t size() const noexcept { return heap_.size(); }
  clock::time_point next() const noexcept { return heap_.front().deadline; }

  void insert(timer_node& timer);
  void remove(timer_node& timer) noexcept;

  /// Takes every timer that is due at `now` and tells it, in the order of the deadlines. A timer set meanwhile
  /// with a deadline that has passed too is left for the next call: no timer can keep the loop here.
  unsigned expire(clock::time_point now) noexcept;

  /// Takes all timers without telling them: the loop ends.
  void clear() noexcept;

 private:
  // The deadline is kept beside the pointer: sifting touches no timer that it does not move.
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
