// What every uring6 coroutine carries: the coroutine that waits for it, and the root of its stop requests.
#pragma once

#include <coroutine>
#include <cstddef>
#include <memory>
#include <memory_resource>
#include <type_traits>

#include "uring6/detail/frame.hpp"
#include "uring6/detail/stop_root.hpp"

namespace uring6::detail {

class promise_base {
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

  std::suspend_always initial_suspend() const noexcept { return {}; }

  std::coroutine_handle<> continuation() const noexcept { return continuation_; }
  void set_continuation(std::coroutine_handle<> continuation) noexcept { continuation_ = continuation; }

  stop_root& stop() const noexcept { return *stop_; }
  void inherit_stop(stop_root& root) noexcept { stop_ = &root; }

 private:
  std::coroutine_handle<> continuation_;
  stop_root* stop_ = &never_stopped;
};

/// The root that stops a suspended coroutine; for a coroutine of another library one that never stops.
template <class Promise>
stop_root& stop_of(std::coroutine_handle<Promise> handle) noexcept {
  if constexpr (std::is_base_of_v<promise_base, Promise>) {
    return handle.promise().stop();
  } else {
    return never_stopped;
  }
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

}  // namespace uring6::detail
