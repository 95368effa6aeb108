// this_task: what a task does with itself.
#pragma once

#include "uring6/version.hpp"

#include <coroutine>

#include "uring6/detail/waiting.hpp"
#include "uring6/stop.hpp"

namespace uring6 {

namespace detail {

class yield_operation : ready_node {
 public:
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiting) {
    begin_wait(waiting);
    loop_core* const loop = current_loop();
    if (loop) make_ready(*loop, *this);
    return loop != nullptr;
  }
  void await_resume() const noexcept {}
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

}  // namespace this_task
}  // namespace uring6
