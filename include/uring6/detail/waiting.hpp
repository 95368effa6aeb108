// The parts of an awaiter: a node of the ready queue, a timer, a target for calls from other threads. They live in
// the coroutine frame and unlink themselves when the frame is destroyed.
//
// An operation is a value until it is awaited: it may be returned, moved and stored. So each part can be moved as long
// as it is not in use. The part that the move makes is unused, and the operation that was moved from counts as awaited.
#pragma once

#include <cassert>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <utility>

#include "uring6/detail/intrusive_list.hpp"
#include "uring6/export.hpp"

// The destructors of the bases are protected, so no object is deleted through a base; GCC warns nevertheless, because
// the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6::inline v0::detail {

class loop_core;
class remote_slot;

/// The clock of the loop that the calling thread runs; CLOCK_MONOTONIC on a thread that runs none. A step of the wall
/// clock moves no timer.
struct clock {
  using duration = std::chrono::steady_clock::duration;
  using time_point = std::chrono::steady_clock::time_point;
  URING6_EXPORT static time_point now() noexcept;
};

/// A coroutine that can be resumed, and its link in the loop's ready queue.
struct ready_node : list_hook {
  std::coroutine_handle<> handle;
  ready_node() = default;
  /// The moved-from node counts as awaited, because GCC 12 moves the operand of `co_await std::move(operation)`.
  ready_node(ready_node&& from) noexcept
      : list_hook(std::move(from)), handle(std::exchange(from.handle, std::noop_coroutine())) {}
  ~ready_node() { unlink(); }

  /// Call when an operation is awaited. An operation can be awaited only once, because its work is then done and its
  /// outcome taken. Throws std::logic_error the second time, as a task does.
  void begin_wait(std::coroutine_handle<> waiting) {
    if (handle) [[unlikely]]
      throw_awaited_twice();
    handle = waiting;
  }

  [[noreturn]] URING6_EXPORT static void throw_awaited_twice();
};

/// The loop that the calling thread runs, or nullptr.
URING6_EXPORT loop_core* current_loop() noexcept;

/// Queues the coroutine: the loop resumes it in its next turn.
URING6_EXPORT void make_ready(loop_core& loop, ready_node& node) noexcept;

/// The same on the calling thread's loop. Returns false if the thread runs none, or one that ends: nothing is queued.
URING6_EXPORT bool queue_turn(ready_node& node) noexcept;

/// Calls `expired` once on the loop's thread at a point in time, unless it is disarmed before.
class URING6_EXPORT timer_node {
 public:
  timer_node() = default;
  timer_node([[maybe_unused]] timer_node&& from) noexcept { assert(!from.armed()); }
  timer_node& operator=(const timer_node&) = delete;

  /// Throws std::bad_alloc; then the timer is not armed.
  void arm(loop_core& loop, clock::time_point deadline);
  void disarm() noexcept;
  bool armed() const noexcept { return loop_ != nullptr; }
  clock::time_point deadline() const noexcept { return deadline_; }

 protected:
  ~timer_node() { disarm(); }
  virtual void expired() noexcept = 0;

 private:
  friend class timer_heap;
  loop_core* loop_ = nullptr;
  clock::time_point deadline_{};
  std::uint32_t index_ = 0;
  std::uint32_t order_ = 0;  // counts the timers of the heap in the order in which they were set
};

/// The link in a list of waiting operations; a second link is in the ready queue.
struct waiting_hook : list_hook {
  waiting_hook() = default;
  waiting_hook(waiting_hook&&) = default;
  ~waiting_hook() { unlink(); }
};

/// An object that must end with its loop. When the loop is shut down, it cancels its operations.
struct URING6_EXPORT resident : list_hook {
  virtual void loop_ends() noexcept = 0;

 protected:
  resident() = default;
  resident(resident&&) = default;
  ~resident() { unlink(); }
};

/// An object on a loop that any thread may call. The loop carries the call to its own thread, and drops it if the
/// object has been closed by then.
class URING6_EXPORT remote_target {
 public:
  remote_target() = default;
  remote_target([[maybe_unused]] remote_target&& from) noexcept { assert(!from.is_open()); }
  remote_target& operator=(const remote_target&) = delete;

  /// Any thread. The caller makes sure that the target stays open until this returns. Needs no memory, and cannot
  /// fail.
  void call() noexcept;

 protected:
  ~remote_target() { close(); }

  /// On the loop's thread, as are `close` and `called`. Throws std::bad_alloc.
  void open(loop_core& loop);
  void close() noexcept;
  bool is_open() const noexcept { return loop_ != nullptr; }
  virtual void called() noexcept = 0;
  /// The loop ends, and no thread can call the target any more: closes it.
  URING6_HIDDEN virtual void loop_ends() noexcept { close(); }

 private:
  friend class loop_core;
  friend class remote_slot;

  loop_core* loop_ = nullptr;
  remote_slot* slot_ = nullptr;
};

}  // namespace uring6::inline v0::detail

#pragma GCC diagnostic pop
