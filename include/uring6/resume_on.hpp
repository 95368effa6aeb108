// resume_on: a coroutine of another library goes to a loop's thread.
#pragma once

#include "uring6/version.hpp"

#include <coroutine>
#include <memory>
#include <string_view>
#include <system_error>

#include "uring6/detail/wait_note.hpp"
#include "uring6/detail/waiting.hpp"
#include "uring6/environment.hpp"
#include "uring6/export.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

class event_loop;

namespace detail {

class URING6_EXPORT resume_on_operation final : ready_node, resident {
 public:
  static constexpr std::string_view wait_name = "resume_on";

  explicit resume_on_operation(const event_loop& loop) noexcept;
  resume_on_operation(resume_on_operation&& from) noexcept;
  ~resume_on_operation();

  bool await_ready() const noexcept { return false; }
  /// For any coroutine on any thread.
  bool await_suspend(std::coroutine_handle<> waiting);
  bool await_suspend(std::coroutine_handle<> waiting, const environment&);
  result<void> await_resume() noexcept {
    resident::unlink();
    if (error_) return fail(error_);
    return {};
  }
  void tell_wait(wait_listing& to) const { to.ready_if(ready_node::linked()); }

 private:
  struct URING6_HIDDEN arrival;

  URING6_HIDDEN bool suspend();
  URING6_HIDDEN void arrive() noexcept;
  URING6_HIDDEN void turn_away() noexcept;
  URING6_HIDDEN void queue_turn() noexcept;
  URING6_HIDDEN void loop_ends() noexcept override { turn_away(); }

  std::shared_ptr<loop_core> loop_;
  arrival* under_way_ = nullptr;
  std::error_code error_;
};

}  // namespace detail

/// `co_await resume_on(loop)` resumes a coroutine of another library on the loop's thread, in a turn of the loop, from
/// any thread that runs no other loop. From there it may await operations of that loop: by `with_environment`, or as
/// the promise of its type does (docs/awaiting.md).
///
/// A task stays on its loop. In a task of that loop this is `this_task::yield()`. On a thread that runs another loop it
/// fails at once with `errc::wrong_thread`: run the work there by `loop_group::spawn_on`, or `post`.
///
/// Fails with `errc::closed` when the loop ends before it resumes the coroutine, or has ended: then the coroutine goes
/// on at the thread that ends the loop, or at once. No stop ends the wait, which lasts a turn. One allocation, which
/// may throw std::bad_alloc. A coroutine that waits is destroyed on the loop's thread, or when the loop has ended.
[[nodiscard("co_await it")]] inline detail::resume_on_operation resume_on(const event_loop& loop) noexcept {
  return detail::resume_on_operation(loop);
}

}  // namespace uring6::inline v0
