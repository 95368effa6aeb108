#include <cassert>

#include "uring6/stop_token.hpp"

namespace uring6::inline v0::detail {

stop_registration::~stop_registration() {
  assert(!state_ && "the derived class detaches first");
}

void stop_registration::attach(const stop_token& token) noexcept {
  assert(!state_ && "attached once");
  if (token.state_) {
    if (!token.state_->add(*this)) return stopped();
    state_ = token.state_;
    return;
  }
#if URING6_STD_STOP_TOKEN
  if (token.other_.stop_possible()) elsewhere_.emplace(token.other_, forward{this});
#endif
}

// After `stopped` has returned the state is not touched: its source may be gone.
void stop_registration::detach() noexcept {
#if URING6_STD_STOP_TOKEN
  elsewhere_.reset();
#endif
  stop_state* const from = std::exchange(state_, nullptr);
  if (returned_.load(std::memory_order_acquire)) return;
  if (from) {
    from->remove(*this);
  } else if (detached_) {
    *detached_ = true;  // `stopped` has destroyed the source, and now this
  }
}

stop_state::~stop_state() {
  lock();
  assert(registered_.empty() && "callbacks end before their source");
  const bool within = is_requester();
  unlock();
  if (within) {
    *destroyed_ = true;
    if (!*running_->detached_) running_->state_ = nullptr;
    return;
  }
  for (std::uint32_t seen; (seen = word_.load(std::memory_order_acquire)) & requesting_bit;) word_.wait(seen);
}

// The lock is not held while a callback runs, so that callbacks may use tokens of this state, also on other threads.
bool stop_state::request() noexcept {
  lock();
  if (requested()) {
    unlock();
    return false;
  }
  word_.fetch_or(requested_bit | requesting_bit, std::memory_order_release);
  bool destroyed = false;
  destroyed_ = &destroyed;
  requester_ = std::this_thread::get_id();
  while (!registered_.empty()) {
    stop_registration& next = registered_.pop_front();
    bool detached = false;
    next.detached_ = &detached;
    running_ = &next;
    unlock();
    next.stopped();
    if (!detached) {
      next.returned_.store(true);  // the last use of `next`: detach() may wait for it on another thread
      next.returned_.notify_all();
    }
    if (destroyed) return true;
    lock();
    running_ = nullptr;
  }
  requester_ = {};
  destroyed_ = nullptr;
  unlock(locked_bit | requesting_bit);  // the last use of the state: the destructor may wait for it
  return true;
}

void stop_state::lock() noexcept {
  std::uint32_t seen = word_.load(std::memory_order_relaxed);
  for (;;) {
    if (seen & locked_bit) {
      word_.wait(seen, std::memory_order_relaxed);
      seen = word_.load(std::memory_order_relaxed);
    } else if (word_.compare_exchange_weak(seen, seen | locked_bit, std::memory_order_acquire,
                                           std::memory_order_relaxed)) {
      return;
    }
  }
}

void stop_state::unlock(std::uint32_t cleared) noexcept {
  assert(word_.load(std::memory_order_relaxed) & locked_bit);
  word_.fetch_and(~cleared, std::memory_order_release);
  word_.notify_all();
}

/// Returns false when the stop was requested already: the caller calls the callback.
bool stop_state::add(stop_registration& which) noexcept {
  lock();
  const bool in_time = !requested();
  if (in_time) registered_.push_back(which);
  unlock();
  return in_time;
}

void stop_state::remove(stop_registration& which) noexcept {
  lock();
  if (which.linked()) {
    which.unlink();
    return unlock();
  }
  const bool within = is_requester();
  if (within && running_ == &which) *which.detached_ = true;
  unlock();
  if (!within) which.returned_.wait(false, std::memory_order_acquire);
}

bool stop_state::is_requester() const noexcept {
  return requester_ == std::this_thread::get_id();
}

}  // namespace uring6::inline v0::detail
