// Coroutines that wait for things that arrive one by one, first come, first served.
#pragma once

#include <cassert>
#include <cstdint>

#include "uring6/detail/waiting.hpp"

namespace uring6::inline v0::detail {

/// A coroutine is resumed a turn after the thing that it waited for arrived. In between the thing is reserved for it:
/// it stays with its owner, which only counts it. So a coroutine that is stopped or destroyed in between has taken
/// nothing, and its reservation goes to the next one.
///
/// `Waiter` is a waiting_hook and declares this class a friend. It has `state_` with the values idle, waiting and
/// reserved, which are set here and nowhere else.
template <class Waiter>
class reservation_queue {
 public:
  using state = typename Waiter::state;

  /// Does a coroutine wait that nothing is reserved for?
  bool has_waiting() const noexcept { return !waiting_.empty(); }
  const Waiter& first_waiting() const noexcept { return waiting_.front(); }
  Waiter& first_waiting() noexcept { return waiting_.front(); }

  /// `f` may not change the queue.
  template <class F>
  void for_each_waiting(F f) {
    waiting_.for_each(f);
  }

  bool has_reservations() const noexcept { return reserved_count_ > 0; }
  Waiter& first_reserved() noexcept { return reserved_.front(); }
  std::uint32_t reservations() const noexcept { return reserved_count_; }

  reservation_queue() = default;
  reservation_queue(const reservation_queue&) = delete;
  reservation_queue& operator=(const reservation_queue&) = delete;
  ~reservation_queue() { assert(reserved_count_ == 0 && "a coroutine would take a thing whose owner is gone"); }

  /// Nothing is there for it.
  void wait(Waiter& waiter) noexcept {
    assert(waiter.state_ == state::idle);
    waiter.state_ = state::waiting;
    waiting_.push_back(waiter);
  }

  /// Reserves one thing that has arrived, and that is reserved for no other waiter.
  void reserve(Waiter& waiter) noexcept {
    assert(waiter.state_ != state::reserved);
    static_cast<waiting_hook&>(waiter).unlink();
    waiter.state_ = state::reserved;
    reserved_.push_back(waiter);
    ++reserved_count_;
    assert(!reserved_.empty() && "the count is that of the list");
  }

  /// The waiter was resumed and takes the thing that was reserved for it, or it leaves without taking anything.
  void remove(Waiter& waiter) noexcept {
    assert((waiter.state_ != state::idle) == static_cast<waiting_hook&>(waiter).linked());
    if (waiter.state_ == state::reserved) {
      assert(reserved_count_ > 0);
      --reserved_count_;
    }
    static_cast<waiting_hook&>(waiter).unlink();
    waiter.state_ = state::idle;
    assert((reserved_count_ == 0) == reserved_.empty());
  }

 private:
  intrusive_list<Waiter, waiting_hook> waiting_;
  intrusive_list<Waiter, waiting_hook> reserved_;
  std::uint32_t reserved_count_ = 0;
};

}  // namespace uring6::inline v0::detail
