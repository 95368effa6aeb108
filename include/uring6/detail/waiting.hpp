// How a suspended coroutine waits: in the ready queue, on a timer, for a call of another thread. These are the parts
// that awaiters are made of; all of them live in the coroutine frame and unlink themselves when it goes.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>

#include "uring6/detail/intrusive_list.hpp"
#include "uring6/export.hpp"

// Objects of these classes are never deleted by a base: the destructors of the bases are protected, and GCC warns
// because the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6::detail {

class loop_core;
class remote_slot;

/// CLOCK_MONOTONIC: a step of the wall clock moves no timer.
using clock = std::chrono::steady_clock;

/// A coroutine that can be resumed, and the link by which the loop finds it.
struct ready_node : list_hook {
  std::coroutine_handle<> handle;
  ~ready_node() { unlink(); }

  /// An operation is awaited: once, because what it was to do is done then, and its outcome has been taken. Throws
  /// std::logic_error, as a task does.
  void begin_wait(std::coroutine_handle<> waiting) {
    if (handle) [[unlikely]]
      throw_awaited_twice();
    handle = waiting;
  }

  [[noreturn]] URING6_EXPORT static void throw_awaited_twice();
};

/// The loop that the calling thread runs, or nullptr.
URING6_EXPORT loop_core* current_loop() noexcept;

/// The coroutine is resumed in the loop's next round.
URING6_EXPORT void make_ready(loop_core& loop, ready_node& node) noexcept;

/// A point in time at which `expired` is called on the loop's thread, once, unless disarmed before.
class URING6_EXPORT timer_node {
 public:
  timer_node() = default;
  timer_node(const timer_node&) = delete;
  timer_node& operator=(const timer_node&) = delete;

  /// Throws std::bad_alloc, and is not armed then.
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
  std::size_t index_ = 0;
};

/// Membership in the list of what is waited for, beside the one in the ready queue.
struct waiting_hook : list_hook {
  ~waiting_hook() { unlink(); }
};

/// Something that must end with its loop: its operations are canceled when the loop is shut down.
struct URING6_EXPORT resident : list_hook {
  virtual void loop_ends() noexcept = 0;

 protected:
  ~resident() { unlink(); }
};

/// Something on a loop that any thread may call: the call is carried to the loop's thread, and reaches nobody
/// if what it was for is over by then.
class URING6_EXPORT remote_target {
 public:
  remote_target() = default;
  remote_target(const remote_target&) = delete;
  remote_target& operator=(const remote_target&) = delete;

  /// Any thread. The caller sees to it that the target is open until this returns. Needs no memory, and cannot fail.
  void call() noexcept;

 protected:
  ~remote_target() { close(); }

  /// On the loop's thread, as `close` and `called`. Throws std::bad_alloc.
  void open(loop_core& loop);
  void close() noexcept;
  bool is_open() const noexcept { return loop_ != nullptr; }
  virtual void called() noexcept = 0;
  /// The loop is going, and nobody can be called any more: closes.
  virtual void loop_ends() noexcept { close(); }

 private:
  friend class loop_core;
  friend class remote_slot;

  loop_core* loop_ = nullptr;
  remote_slot* slot_ = nullptr;
};

}  // namespace uring6::detail

#pragma GCC diagnostic pop
