// How a task learns of a stop request.
#pragma once

#include "uring6/version.hpp"

#include <coroutine>

#include "uring6/detail/promise.hpp"
#include "uring6/stop_token.hpp"

namespace uring6::inline v0 {

namespace detail {

struct stop_token_query {
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<>, const environment& in) {
    token = &stop_of(in).token();
    return false;
  }
  uring6::stop_token await_resume() const noexcept { return *token; }

  const uring6::stop_token* token = nullptr;
};

}  // namespace detail

namespace this_task {

/// `co_await this_task::stop_token()` returns the token that the calling task inherited from the task that awaited or
/// spawned it. It does not suspend. All operations that the task awaits hear of a stop by themselves; the token is
/// for loops that compute and for callbacks (`stop_callback`). Any thread may use it while the task lives. In a
/// `shield` it tells of a stop when the operations hear of it; a token from before the shield tells at once.
[[nodiscard("co_await it")]] inline detail::stop_token_query stop_token() noexcept {
  return {};
}

}  // namespace this_task
}  // namespace uring6::inline v0
