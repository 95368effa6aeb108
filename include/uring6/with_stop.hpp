// with_stop: await anything until a stop is requested of a token.
#pragma once

#include "uring6/version.hpp"

#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "uring6/detail/sole_child.hpp"
#include "uring6/export.hpp"
#include "uring6/stop_token.hpp"

namespace uring6::inline v0 {

namespace detail {

/// One child, and the token that stops it from any thread.
class URING6_EXPORT stoppable_child : public sole_child, remote_target {
 protected:
  static constexpr std::string_view wait_name = "with_stop";

  explicit stoppable_child(stop_token token) noexcept : token_(std::move(token)) {}
  stoppable_child(stoppable_child&& from) noexcept
      : sole_child(std::move(from)), remote_target(std::move(from)), token_(std::move(from.token_)) {}
  ~stoppable_child() = default;

  using sole_child::open;  // remote_target has one, too
  /// Throws std::bad_alloc.
  void watch(stop_root& inherited);

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
  std::optional<stop_callback<forward>> callback_;  // last member: its end waits for a call on another thread
};

template <awaitable A>
using with_stop_operation = sole_child_operation<stoppable_child, A>;

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
  return detail::with_stop_operation<A>(static_cast<A&&>(awaited), std::move(token));
}

}  // namespace uring6::inline v0
