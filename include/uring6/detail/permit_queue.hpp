// A queue of coroutines for permits: the base of semaphore, async_mutex, event and channel.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <system_error>

#include "uring6/detail/promise.hpp"
#include "uring6/detail/waiting.hpp"
#include "uring6/export.hpp"

// The destructors of the bases are protected, so no object is deleted through a base; GCC warns nevertheless, because
// the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6::inline v0::detail {

class permit_waiter;

/// Permits, and the coroutines of any loops that wait for them, first come, first served. The caller of a member
/// holds the mutex.
///
/// A waiting coroutine takes its permit when it resumes. If it is stopped or destroyed before, it gives the permit to
/// the next one in the queue: a wait that lost to a timer has taken nothing.
class URING6_EXPORT permit_queue {
 public:
  /// The permit of a gate is not used up: every coroutine may pass.
  enum class kind : std::uint8_t { counter, gate };

  permit_queue(std::mutex& mutex, std::size_t permits, kind of = kind::counter) noexcept
      : mutex_(mutex), permits_(permits), kind_(of) {}

  /// Takes a permit. False: there is none.
  bool take() noexcept;
  /// Adds permits, and wakes the coroutines that get one.
  void give(std::size_t permits) noexcept;
  void withdraw_all() noexcept { permits_ = 0; }
  std::size_t permits() const noexcept { return permits_; }

  /// Waiting coroutines, and those that come later and find no permit, get errc::closed.
  void close() noexcept;

 private:
  friend permit_waiter;

  std::mutex& mutex_;
  intrusive_list<permit_waiter, waiting_hook> waiting_;
  std::size_t permits_;
  kind kind_;
  bool closed_ = false;
};

/// Wakes a coroutine on its own loop.
class URING6_EXPORT remote_waker : public remote_target {
 protected:
  virtual void wake() noexcept = 0;
  /// The loop ends: after this call no thread may call `call` any more.
  virtual void give_up() noexcept = 0;

 private:
  URING6_HIDDEN void called() noexcept final { wake(); }
  URING6_HIDDEN void loop_ends() noexcept final {
    give_up();
    close();
  }
};

class URING6_EXPORT permit_waiter : ready_node, waiting_hook, stop_listener, remote_waker {
 public:
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiting, const environment& in) {
    return suspend(waiting, stop_of(in));
  }
  void tell_wait(wait_listing& to) const;

 protected:
  explicit permit_waiter(permit_queue& in) noexcept : queue_(in) {}
  permit_waiter(permit_waiter&&) = default;
  ~permit_waiter();

  /// Call first in await_resume. Returns the error that ended the wait, or none: then the caller has the permit.
  std::error_code resume() noexcept;

 private:
  friend permit_queue;
  friend class intrusive_list<permit_waiter, waiting_hook>;

  // waiting: in the queue; served: a permit is kept for it until it resumes.
  enum class state : std::uint8_t { idle, waiting, served };

  bool suspend(std::coroutine_handle<> waiting, stop_root& stop);
  bool leave(std::error_code why) noexcept;
  void stop_requested() noexcept override;
  void wake() noexcept override;
  URING6_HIDDEN void give_up() noexcept override { leave({}); }

  permit_queue& queue_;
  loop_core* loop_ = nullptr;
  std::error_code error_;
  state state_ = state::idle;
  bool woken_ = false;
};

}  // namespace uring6::inline v0::detail

#pragma GCC diagnostic pop
