// What every uring6 coroutine carries: the coroutine that waits for it, and the root of its stop requests.
#pragma once

#include <coroutine>
#include <cstddef>
#include <memory>
#include <memory_resource>
#include <type_traits>

#include "uring6/detail/awaitable.hpp"
#include "uring6/detail/frame.hpp"
#include "uring6/detail/stop_root.hpp"
#include "uring6/detail/wait_note.hpp"
#include "uring6/environment.hpp"

namespace uring6::inline v0::detail {

/// Frames come from the recycler, or from a memory resource.
class frame_memory {
 public:
  static void* operator new(std::size_t size) { return allocate_frame(size); }

  /// A coroutine with the first parameters (std::allocator_arg, resource*) takes its frame from the resource.
  template <class... Rest>
  static void* operator new(std::size_t size, std::allocator_arg_t, std::pmr::memory_resource* resource, Rest&&...) {
    return allocate_frame(size, resource);
  }
  template <class Self, class... Rest>
  requires(!std::is_same_v<std::remove_cvref_t<Self>, std::allocator_arg_t>) static void* operator new(
      std::size_t size, Self&&, std::allocator_arg_t, std::pmr::memory_resource* resource, Rest&&...) {
    return allocate_frame(size, resource);
  }

  /// The same for an allocator, of which the frame takes the resource: the convention of the standard's coroutines.
  template <class T, class... Rest>
  static void* operator new(std::size_t size, std::allocator_arg_t, const std::pmr::polymorphic_allocator<T>& allocator,
                            Rest&&...) {
    return allocate_frame(size, allocator.resource());
  }
  template <class Self, class T, class... Rest>
  requires(!std::is_same_v<std::remove_cvref_t<Self>, std::allocator_arg_t>) static void* operator new(
      std::size_t size, Self&&, std::allocator_arg_t, const std::pmr::polymorphic_allocator<T>& allocator, Rest&&...) {
    return allocate_frame(size, allocator.resource());
  }
  static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }
};

class promise_base : public frame_memory {
 public:
  std::suspend_always initial_suspend() const noexcept { return {}; }

  std::coroutine_handle<> continuation() const noexcept { return continuation_; }
  void set_continuation(std::coroutine_handle<> continuation) noexcept { continuation_ = continuation; }

  void inherit_stop(stop_root& root) noexcept { stop_ = &root; }
  environment within() const noexcept { return environment(*stop_); }

  /// What a task may await, and the environment that it hands over.
  template <class A>
  auto await_transform(A&& awaited);

  // --- for event_loop::tasks and debuggers ---

  void set_frame(std::coroutine_handle<> own) noexcept { frame_ = own.address(); }
  const void* frame() const noexcept { return frame_; }

  /// The coroutine is suspended by `awaiter`.
  void waits(const void* awaiter, const wait_kind& kind) noexcept {
    awaiter_ = awaiter;
    wait_ = &kind;
  }
  /// A child or a task that the coroutine awaits has ended, and resumes it past the loop. A coroutine that the loop
  /// itself resumes keeps its old note while it runs: `loop_core::resumed` tells that it runs.
  void runs() noexcept { wait_ = nullptr; }

  const void* awaiter() const noexcept { return awaiter_; }
  /// nullptr if the coroutine has never been suspended, or runs again.
  const wait_kind* wait() const noexcept { return wait_; }
  bool stop_requested() const noexcept { return stop_->stop_requested(); }

 private:
  std::coroutine_handle<> continuation_;
  stop_root* stop_ = &never_stopped;
  const void* frame_ = nullptr;
  const void* awaiter_ = nullptr;
  const wait_kind* wait_ = nullptr;
};

/// Awaits in a coroutine of uring6. As `awaiter_within`, but the frame does not keep the environment.
template <class Awaiter>
struct awaiter_of_task {
  Awaiter awaiter;

  decltype(auto) await_ready() { return awaiter.await_ready(); }
  template <class Promise>
  decltype(auto) await_suspend(std::coroutine_handle<Promise> waiting) {
    using teller_type = std::remove_reference_t<decltype(teller_of(awaiter))>;
    Promise& promise = waiting.promise();
    if constexpr (!tells_its_wait<teller_type>) {
      // Before the call, which may resume the coroutine at once.
      promise.waits(nullptr, wait_kind_of<teller_type>);
      return awaiter.await_suspend(waiting, promise.within());
    } else if constexpr (std::is_void_v<decltype(awaiter.await_suspend(waiting, promise.within()))>) {
      awaiter.await_suspend(waiting, promise.within());
      promise.waits(&teller_of(awaiter), wait_kind_of<teller_type>);
    } else {
      bool suspended = awaiter.await_suspend(waiting, promise.within());
      if (suspended) {
        teller_type& teller = teller_of(awaiter);
        if constexpr (requires { teller.suspended(promise); }) teller.suspended(promise);
        promise.waits(&teller, wait_kind_of<teller_type>);
      }
      return suspended;
    }
  }
  decltype(auto) await_resume() { return awaiter.await_resume(); }
};

template <class A>
auto promise_base::await_transform(A&& awaited) {
  static_assert(!named_value<A>, "an operation or task is awaited once, as a value: co_await std::move(it)");
  static_assert(named_value<A> || awaitable<A>, "this cannot be awaited: it is no awaitable");
  static_assert(!awaitable<A> || named_value<A> || takes_environment<A>,
                "this may resume the task on another thread, and hears of no stop: co_await foreign(it)");
  if constexpr (tries_first<A>) awaited.try_now(within());
  return awaiter_of_task<awaiter_type<A>>{awaiter_of(std::forward<A>(awaited))};
}

/// At the end of a coroutine, resumes the coroutine that awaits it. Without one (a frame driven by hand) the loop
/// goes on.
struct final_awaiter {
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> finished) const noexcept {
    const std::coroutine_handle<> next = finished.promise().continuation();
    return next ? next : std::noop_coroutine();
  }
  void await_resume() const noexcept {}
};

}  // namespace uring6::inline v0::detail
