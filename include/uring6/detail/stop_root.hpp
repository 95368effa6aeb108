// How a stop request reaches those who wait: each tree of tasks has one root, which holds the token that its tasks
// inherit and, on the loop's thread, a table of its tasks that wait for something. So a wait costs a place in it, not a
// std::stop_callback with its lock.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>

#include "uring6/detail/waiting.hpp"
#include "uring6/export.hpp"

// Objects of these classes are never deleted by a base: the destructors of the bases are protected, and GCC warns
// because the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6::detail {

class local_stop;
class stop_root;

/// Hears of a stop request on the loop's thread, whichever thread made it.
class URING6_EXPORT stop_listener {
 public:
  stop_listener() = default;
  stop_listener(const stop_listener&) = delete;
  stop_listener& operator=(const stop_listener&) = delete;

  /// Until it is told, forgets, or goes. If the stop has been requested already, it is told in here. Precondition: the
  /// root was prepared for it.
  void listen(stop_root& root) noexcept;
  void forget() noexcept;

 protected:
  ~stop_listener() { forget(); }
  virtual void stop_requested() noexcept = 0;

 private:
  friend class stop_root;

  stop_root* root_ = nullptr;  // while it listens
  std::size_t place_ = 0;      // in the root's table
};

/// Lives in whoever started the tree of tasks (a scope, a timeout, the loop's run) and outlives them all. Any thread
/// may request the stop and ask for it; the rest belongs to the loop's thread.
class URING6_EXPORT stop_root final : remote_target {
 public:
  /// Never stopped.
  stop_root() = default;
  explicit stop_root(std::stop_token token) noexcept : token_(std::move(token)) {}
  ~stop_root();

  /// Before its first listener.
  void follow(std::stop_token token) noexcept { token_ = std::move(token); }

  /// Made when it is first asked for if this is the root of a local_stop; then throws std::bad_alloc.
  const std::stop_token& token() {
    if (local_ && !token_.stop_possible()) make_token();
    return token_;
  }
  bool stop_requested() const noexcept { return token_.stop_requested(); }

  /// Takes the memory for one more listener. To be called before a wait changes anything: an operation may outlive the
  /// coroutine in which it threw. Throws std::bad_alloc.
  void prepare(loop_core& loop) {
    if (!is_open() && !local_ && !start(loop)) return;
    if (size_ == room_) make_room();
  }

  /// On the loop's thread, when its tasks have ended: after that it can go on another one.
  void close() noexcept;

 private:
  friend stop_listener;
  friend local_stop;
  struct forward {
    remote_target* to;
    void operator()() const noexcept { to->call(); }
  };

  bool start(loop_core& loop);
  void make_room();
  void make_token();
  void called() noexcept override;
  void loop_ends() noexcept override { close(); }

  std::stop_token token_;
  local_stop* local_ = nullptr;  // whose root this is
  // A table and no list: who leaves a list writes to both of its neighbours, which of ten thousand that wait are in no
  // cache. Here the one that came last, and was just looked at, takes the empty place.
  std::array<stop_listener*, 8> few_;  // of them need no allocation
  std::unique_ptr<stop_listener*[]> many_;
  stop_listener** listeners_ = few_.data();
  std::size_t size_ = 0;
  std::size_t room_ = few_.size();
  std::optional<std::stop_callback<forward>> callback_;  // from the first listener on
};

inline void stop_listener::listen(stop_root& root) noexcept {
  if (!root.is_open() && !root.local_) return;  // it is never stopped
  assert(root.size_ < root.room_);
  // Whoever has a place when the stop is requested is told by the call; whoever comes later sees it here.
  if (root.stop_requested()) return stop_requested();
  place_ = root.size_++;
  root.listeners_[place_] = this;
  root_ = &root;
}

inline void stop_listener::forget() noexcept {
  if (!root_) return;
  stop_listener* const last = root_->listeners_[--root_->size_];
  last->place_ = place_;
  root_->listeners_[place_] = last;
  root_ = nullptr;
}

/// Of coroutines that nobody can ask to stop.
inline stop_root never_stopped;

}  // namespace uring6::detail

#pragma GCC diagnostic pop
