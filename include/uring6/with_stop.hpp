// with_stop: await anything until a stop is requested of a token.
#pragma once

#include "uring6/version.hpp"

#include <coroutine>
#include <exception>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "uring6/detail/siblings.hpp"
#include "uring6/export.hpp"
#include "uring6/stop_token.hpp"

// The destructors of the bases are protected, so no object is deleted through a base; GCC warns nevertheless, because
// the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6::inline v0 {

namespace detail {

/// One child, and the token that stops it from any thread.
class URING6_EXPORT stoppable_siblings : public siblings, remote_target {
 protected:
  explicit stoppable_siblings(stop_token token) noexcept : token_(std::move(token)) {}
  stoppable_siblings(stoppable_siblings&& from) noexcept
      : siblings(std::move(from)), remote_target(std::move(from)), token_(std::move(from.token_)) {}
  ~stoppable_siblings() = default;

  /// Call after `open` of siblings and before the start. Throws std::bad_alloc.
  void follow_token();

  /// Call first in await_resume.
  void rethrow() {
    leave_token();
    siblings::close();
    if (failure_) std::rethrow_exception(std::move(failure_));
  }

 private:
  struct forward {
    remote_target* to;
    void operator()() const noexcept { to->call(); }
  };

  void leave_token() noexcept;
  void one_ended(child_promise& which) noexcept final;
  URING6_HIDDEN void called() noexcept final { request_stop(); }
  URING6_HIDDEN void loop_ends() noexcept final { leave_token(); }

  stop_token token_;
  std::exception_ptr failure_;
  std::optional<stop_callback<forward>> callback_;  // last member: its end waits for a call on another thread
};

template <awaitable A>
class with_stop_operation final : stoppable_siblings {
 public:
  static constexpr std::string_view wait_name = "with_stop";
  using stoppable_siblings::suspended;
  using stoppable_siblings::tell_wait;

  static constexpr bool drops_when_it_loses = !keeps_when_it_loses<A>;

  with_stop_operation(stop_token token, A&& awaited) noexcept(std::is_nothrow_constructible_v<sibling<A>, A>)
      : stoppable_siblings(std::move(token)), part_(static_cast<A&&>(awaited)) {}

  reference_awaiter<with_stop_operation> operator co_await() && noexcept { return {this}; }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiting, const environment& in) {
    siblings::open(stop_of(in));
    part_.prepare();
    follow_token();
    start(part_.child(), 0);
    return wait(waiting);
  }
  std::conditional_t<std::is_void_v<await_result<A>>, void, await_value<A>> await_resume() {
    rethrow();
    if constexpr (!std::is_void_v<await_result<A>>) return part_.value();
  }

 private:
  sibling<A> part_;
};

}  // namespace detail

/// Awaits a task, or an operation such as `pc.read_from(buffer)`, and passes on a stop that is requested of `token`,
/// by any thread, beside that of the caller. Waits for its end in any case, and returns what it returns: an operation
/// that was stopped ends with `errc::canceled`. A value that is there before the stop reaches the loop wins. Owns what
/// it awaits: it can be returned and awaited later. Go: context.WithCancel.
///
///     stop_source reload;
///     auto got = co_await with_stop(reload.get_token(), pc.read_from(buffer));
///
/// The source outlives the operation; a std::stop_token is a token, too. With a token of which a stop was requested
/// already, the operation begins and finds the stop requested. Exceptions come through. Allocates as `when_any`.
template <detail::operand A>
[[nodiscard("co_await it")]] detail::with_stop_operation<A> with_stop(stop_token token, A&& awaited) noexcept(
    std::is_nothrow_constructible_v<detail::sibling<A>, A>) {
  return {std::move(token), static_cast<A&&>(awaited)};
}

}  // namespace uring6::inline v0

#pragma GCC diagnostic pop
