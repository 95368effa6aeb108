// A guest: work on a loop that another library's sender begins, on any thread.
#pragma once

#include <coroutine>
#include <exception>
#include <memory>

#include "uring6/detail/promise.hpp"
#include "uring6/detail/waiting.hpp"
#include "uring6/export.hpp"
#include "uring6/stop_token.hpp"

namespace uring6::inline v0::detail {

class guest;

/// The coroutine that does the work. At its end it calls the guest. Its frame is destroyed a little later, when the
/// guest may be gone, so its parameters must not use the guest.
class guest_promise final : public promise_base, public ready_node {
 public:
  std::coroutine_handle<guest_promise> get_return_object() noexcept {
    const auto own = std::coroutine_handle<guest_promise>::from_promise(*this);
    set_frame(own);
    return own;
  }
  auto final_suspend() const noexcept {
    struct at_end {
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<guest_promise> ended) const noexcept { tell(ended); }
      void await_resume() const noexcept {}
    };
    return at_end{};
  }
  void return_void() const noexcept {}
  void unhandled_exception() noexcept { exception = std::current_exception(); }

  std::exception_ptr exception;
  guest* owner = nullptr;

 private:
  URING6_EXPORT static void tell(std::coroutine_handle<guest_promise> ended) noexcept;
};

struct guest_work {
  using promise_type = guest_promise;
  guest_work(std::coroutine_handle<guest_promise> at) noexcept : handle(at) {}  // NOLINT(google-explicit-constructor)
  std::coroutine_handle<guest_promise> handle;
};

/// After `enter` exactly one of `finished` and `turned_away` is called, as the last use of the guest, which may be
/// destroyed in that call.
class URING6_EXPORT guest : resident, task_root {
 public:
  guest(const guest&) = delete;
  guest& operator=(const guest&) = delete;

 protected:
  explicit guest(std::shared_ptr<loop_core> loop) noexcept;
  ~guest();

  /// Any thread. The work begins on the loop's thread: at once if the calling thread is running that loop.
  void enter(stop_token stop) noexcept;

  /// Makes the coroutine. An exception out of it counts as the work's.
  virtual guest_work work() = 0;

  /// The work has ended, and all its variables are destroyed. Called on the loop's thread.
  virtual void finished(std::exception_ptr failure) noexcept = 0;

  /// The loop ended before the work, which is canceled. Called on the thread that ends the loop; if the loop had
  /// ended before the work began, on the thread that called `enter`.
  virtual void turned_away() noexcept = 0;

 private:
  friend class guest_promise;
  struct URING6_HIDDEN arrival;

  URING6_HIDDEN void begin() noexcept;
  URING6_HIDDEN void end() noexcept;
  void loop_ends() noexcept final;
  void list_tasks(wait_listing& to) const final;

  std::shared_ptr<loop_core> loop_;
  stop_root stop_;
  std::coroutine_handle<guest_promise> running_;
};

}  // namespace uring6::inline v0::detail
