// How a stop request reaches waiting coroutines. Each tree of tasks has one root. It holds the token that the tasks
// inherit and, on the loop's thread, a table of the tree's waiting operations. So a wait costs a place in the table,
// not a stop_callback with its lock.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "uring6/detail/waiting.hpp"
#include "uring6/export.hpp"
#include "uring6/stop_token.hpp"

// The destructors of the bases are protected, so no object is deleted through a base; GCC warns nevertheless, because
// the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6::inline v0::detail {

class local_stop;
class stop_root;

/// Hears of a stop request on the loop's thread, independent of the thread that made the request.
class URING6_EXPORT stop_listener {
 public:
  stop_listener() = default;
  stop_listener([[maybe_unused]] stop_listener&& from) noexcept { assert(!from.root_); }
  stop_listener& operator=(const stop_listener&) = delete;

  /// Listens until it is told, calls forget(), or is destroyed. If the stop has been requested already, this call
  /// tells it. Precondition (asserted): prepare() of the root was called.
  void listen(stop_root& root) noexcept;
  void forget() noexcept;

 protected:
  ~stop_listener() { forget(); }
  virtual void stop_requested() noexcept = 0;

 private:
  friend class stop_root;

  stop_root* root_ = nullptr;  // while it listens
  std::size_t place_ = 0;      // index in the root's table
};

/// Lives in the object that starts the tree of tasks (a scope, a timeout, the loop's run) and outlives the tree. Any
/// thread may request the stop, by the source of the token; the rest belongs to the loop's thread.
class URING6_EXPORT stop_root final : remote_target {
 public:
  /// Never stopped.
  stop_root() = default;
  stop_root(const stop_root&) = delete;
  stop_root& operator=(const stop_root&) = delete;
  explicit stop_root(stop_token token) noexcept : token_(std::move(token)) {}
  ~stop_root();

  /// Call before the first listener.
  void follow(stop_token token) noexcept { token_ = std::move(token); }

  /// The token. The root of a local_stop links it to the inherited one at the first call, which may throw
  /// std::bad_alloc.
  const stop_token& token() {
    if (local_ && !token_.stop_possible()) link_token();
    return token_;
  }
  bool stop_requested() const noexcept { return token_.stop_requested(); }

  /// Takes the memory for one more listener. Call it before a wait changes anything, because an operation may outlive
  /// a coroutine in which it threw. Throws std::bad_alloc.
  void prepare(loop_core& loop) {
    if (!is_open() && !local_ && !start(loop)) return;
    if (size_ == room_) make_room();
  }

  /// On the loop's thread, when the root's tasks have ended. Afterwards the root may be destroyed on any thread.
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
  void link_token();
  URING6_HIDDEN void called() noexcept override;
  URING6_HIDDEN void loop_ends() noexcept override { close(); }

  stop_token token_;
  local_stop* local_ = nullptr;  // the local_stop that owns this root, if one does
  // A table and not a list: leaving a list writes to both neighbours, which of ten thousand waiting operations are in
  // no cache. In the table the last entry, which was read just before, takes the free place.
  std::array<stop_listener*, 8> few_;  // eight waiting operations, one cache line of pointers, need no allocation
  std::unique_ptr<stop_listener*[]> many_;
  stop_listener** listeners_ = few_.data();
  std::size_t size_ = 0;
  std::size_t room_ = few_.size();
  std::optional<stop_callback<forward>> callback_;  // from the first listener on
};

inline void stop_listener::listen(stop_root& root) noexcept {
  if (!root.is_open() && !root.local_) return;  // this root is never stopped
  assert(root.size_ < root.room_);
  // An entry that is in the table at the time of the request is told by the request; one that comes later sees it
  // here.
  if (root.stop_requested()) return stop_requested();
  assert(!root_ && "a listener has one root");
  place_ = root.size_++;
  root.listeners_[place_] = this;
  root_ = &root;
}

inline void stop_listener::forget() noexcept {
  if (!root_) return;
  assert(place_ < root_->size_ && root_->listeners_[place_] == this && "the table has the listener at its place");
  stop_listener* const last = root_->listeners_[--root_->size_];
  last->place_ = place_;
  root_->listeners_[place_] = last;
  root_ = nullptr;
}

/// The root of coroutines that cannot be stopped.
inline stop_root never_stopped;

}  // namespace uring6::inline v0::detail

#pragma GCC diagnostic pop
