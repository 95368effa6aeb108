// The common part of with_timeout, with_stop and shield: one child, and what stops it before its time.
#pragma once

#include <coroutine>
#include <exception>
#include <type_traits>
#include <utility>

#include "uring6/detail/siblings.hpp"
#include "uring6/export.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0::detail {

/// One child and its exception. A class derived of it knows when the child is to be stopped, and has
/// - `wait_name`: what a list of the tasks calls the wait;
/// - `open(inherited)`: before the child's coroutine is made. Throws as `open` of siblings;
/// - `watch(inherited)`: right before the child starts. What stops the child may do so from now on.
class URING6_EXPORT sole_child : public siblings {
 protected:
  sole_child() = default;
  sole_child(sole_child&&) = default;
  ~sole_child() = default;

  /// Call when the child has ended.
  void keep_exception(child_promise& which) noexcept { exception_ = std::move(which.exception); }

  /// Call first in await_resume.
  void rethrow() {
    siblings::close();
    if (exception_) std::rethrow_exception(std::move(exception_));
  }

  /// Was the child stopped because its time was over?
  bool timed_out() const noexcept { return false; }

 private:
  std::exception_ptr exception_;
};

// The destructors of the bases are protected, so no object is deleted through a base; GCC warns nevertheless, because
// the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

/// `Watched` is derived of sole_child.
template <class Watched, awaitable A>
class sole_child_operation final : Watched {
 public:
  using Watched::suspended;
  using Watched::tell_wait;
  using Watched::wait_name;

  static constexpr bool drops_when_it_loses = !keeps_when_it_loses<A>;

  template <class... Limits>
  explicit sole_child_operation(A&& awaited,
                                Limits&&... limits) noexcept(std::is_nothrow_constructible_v<sibling<A>, A>)
      : Watched(std::forward<Limits>(limits)...), part_(static_cast<A&&>(awaited)) {}

  reference_awaiter<sole_child_operation> operator co_await() && noexcept { return {this}; }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiting, const environment& in) {
    stop_root& inherited = stop_of(in);
    this->open(inherited);
    part_.prepare();
    this->watch(inherited);
    this->start(part_.child(), 0);
    return this->wait(waiting);
  }
  std::conditional_t<std::is_void_v<await_result<A>>, void, await_value<A>> await_resume() {
    this->rethrow();
    if constexpr (is_result<await_value<A>>) {
      if (this->timed_out() && !part_.value() && part_.value().error() == std::errc::operation_canceled) {
        return fail(errc::deadline_exceeded);
      }
    }
    if constexpr (!std::is_void_v<await_result<A>>) return part_.value();
  }

 private:
  sibling<A> part_;
};

#pragma GCC diagnostic pop

}  // namespace uring6::inline v0::detail
