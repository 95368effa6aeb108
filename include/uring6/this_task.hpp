// this_task: what a task does with itself.
#pragma once

#include "uring6/version.hpp"

#include <chrono>
#include <coroutine>
#include <string_view>

#include "uring6/detail/wait_note.hpp"
#include "uring6/detail/waiting.hpp"
#include "uring6/environment.hpp"
#include "uring6/export.hpp"
#include "uring6/stop.hpp"

namespace uring6::inline v0 {

class event_loop;

namespace detail {

class yield_operation : ready_node {
 public:
  static constexpr std::string_view wait_name = "this_task::yield";

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiting, const environment&) {
    begin_wait(waiting);
    return queue_turn(*this);
  }
  void await_resume() const noexcept {}
  void tell_wait(wait_listing& to) const { to.ready_if(linked()); }
};

/// Throws std::system_error (`errc::wrong_thread`) outside of a running loop.
URING6_EXPORT event_loop& loop_of(const environment& in);

struct loop_query {
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<>, const environment& in) {
    loop = &loop_of(in);
    return false;
  }
  event_loop& await_resume() const noexcept { return *loop; }

  event_loop* loop = nullptr;
};

}  // namespace detail

namespace this_task {

/// `co_await this_task::yield()` lets the loop take a turn: the other tasks that are ready run, and the kernel's
/// completions and other threads' posts come in, before the calling task goes on. For a task that computes for long. It
/// takes place on the loop's thread, allocates nothing, and ends without an error, also after a stop request. A
/// coroutine that no loop runs goes on at once. Go: runtime.Gosched.
[[nodiscard("co_await it")]] inline detail::yield_operation yield() noexcept {
  return {};
}

/// `event_loop& loop = co_await this_task::loop()` is the loop that runs the calling task, to open conns, post, or make
/// scopes. It does not suspend. The reference is good until the program moves or destroys the loop's object. Throws
/// std::system_error (`errc::wrong_thread`) in a coroutine that no loop runs.
[[nodiscard("co_await it")]] inline detail::loop_query loop() noexcept {
  return {};
}

/// The time by the clock of the loop that the calling thread runs (`loop_options::clock`), for deadlines and for
/// measuring; CLOCK_MONOTONIC on a thread that runs none. Go: time.Now.
inline std::chrono::steady_clock::time_point now() noexcept {
  return detail::clock::now();
}

}  // namespace this_task
}  // namespace uring6::inline v0
