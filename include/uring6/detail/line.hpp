// Coroutines in line for permits: what semaphore, async_mutex, event and channel are made of.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <system_error>

#include "uring6/detail/promise.hpp"
#include "uring6/detail/waiting.hpp"
#include "uring6/export.hpp"

// Objects of these classes are never deleted by a base: the destructors of the bases are protected, and GCC warns
// because the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6::detail {

class line_waiter;

/// Permits, and those who wait for them, first come, first served, on whichever loops. All of it with the
/// mutex held.
///
/// A permit is taken when the coroutine that it was meant for resumes. One that is stopped or destroyed
/// before gives it back, to the next in line: a wait that has lost to a timer has taken nothing.
class URING6_EXPORT line {
 public:
  /// Of a gate, a permit is not used up by those who pass.
  enum class kind : std::uint8_t { counter, gate };

  line(std::mutex& mutex, std::size_t permits, kind of = kind::counter) noexcept
      : mutex_(mutex), permits_(permits), kind_(of) {}

  bool take() noexcept;
  void give(std::size_t permits) noexcept;
  void withdraw_all() noexcept { permits_ = 0; }
  std::size_t permits() const noexcept { return permits_; }

  /// Those in line, and those who come when there is no permit, get errc::closed.
  void close() noexcept;

 private:
  friend line_waiter;

  std::mutex& mutex_;
  intrusive_list<line_waiter, waiting_hook> waiting_;
  std::size_t permits_;
  kind kind_;
  bool closed_ = false;
};

/// Calls a coroutine back to its own loop.
class URING6_EXPORT remote_waker : public remote_target {
 protected:
  virtual void wake() noexcept = 0;
  /// The loop is going: from the return on nobody may call.
  virtual void give_up() noexcept = 0;

 private:
  void called() noexcept final { wake(); }
  void loop_ends() noexcept final {
    give_up();
    close();
  }
};

class URING6_EXPORT line_waiter : ready_node, waiting_hook, stop_listener, remote_waker {
 public:
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> waiting) {
    return suspend(waiting, stop_of(waiting));
  }

 protected:
  explicit line_waiter(line& in) noexcept : line_(in) {}
  ~line_waiter();

  /// To be called first in await_resume: the error that ended the wait, or none and the permit is the
  /// caller's.
  std::error_code resume() noexcept;

 private:
  friend line;
  friend class intrusive_list<line_waiter, waiting_hook>;

  // waiting: in line; served: a permit is kept for it until it resumes.
  enum class state : std::uint8_t { idle, waiting, served };

  bool suspend(std::coroutine_handle<> waiting, stop_root& stop);
  bool leave(std::error_code why) noexcept;
  void stop_requested() noexcept override;
  void wake() noexcept override;
  void give_up() noexcept override { leave({}); }

  line& line_;
  loop_core* loop_ = nullptr;
  std::error_code error_;
  state state_ = state::idle;
  bool woken_ = false;
};

}  // namespace uring6::detail

#pragma GCC diagnostic pop
