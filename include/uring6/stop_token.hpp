// Stop requests: a source that lives in the object that may request the stop, its tokens, and callbacks.
#pragma once

#include "uring6/version.hpp"

#include <atomic>
#include <concepts>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <utility>
#include <version>

#include "uring6/detail/intrusive_list.hpp"
#include "uring6/export.hpp"

// libc++ has std::stop_token only with -fexperimental-library. The layout of a token must not depend on that switch, so
// with libc++ a token does not convert from it.
#if defined(__cpp_lib_jthread) && !defined(_LIBCPP_VERSION)
#define URING6_STD_STOP_TOKEN 1
#include <optional>
#include <stop_token>
#else
#define URING6_STD_STOP_TOKEN 0
#endif

// The destructors of the bases are protected, so no object is deleted through a base; GCC warns nevertheless, because
// the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6::inline v0 {

class stop_token;

namespace detail {

class stop_state;

/// A registered callback: a node in the list of the state. For a std::stop_token it owns a std::stop_callback.
class URING6_EXPORT stop_registration : list_hook {
 public:
  stop_registration(const stop_registration&) = delete;
  stop_registration& operator=(const stop_registration&) = delete;

 protected:
  stop_registration() = default;
  ~stop_registration();

  /// Calls `stopped` at once if the stop was requested already. Once.
  void attach(const stop_token& token) noexcept;

  /// Waits for a `stopped` that runs on another thread. The derived class calls it first in its destructor.
  void detach() noexcept;

  /// Called once, by the thread that requests the stop or by `attach`.
  virtual void stopped() noexcept = 0;

 private:
  friend class stop_state;
  friend class intrusive_list<stop_registration>;

  stop_state* state_ = nullptr;        // while it is registered
  bool* detached_ = nullptr;           // a variable of the requester: detach() was called within `stopped`
  std::atomic<bool> returned_{false};  // `stopped` was called, and has returned
#if URING6_STD_STOP_TOKEN
  struct forward {
    stop_registration* to;
    void operator()() const noexcept { to->stopped(); }
  };
  std::optional<std::stop_callback<forward>> elsewhere_;
#endif
};

/// The state of a stop source. Any thread.
class URING6_EXPORT stop_state {
 public:
  stop_state() = default;
  stop_state(const stop_state&) = delete;
  stop_state& operator=(const stop_state&) = delete;
  /// Waits for a request that runs on another thread. No callback is registered (asserted).
  ~stop_state();

  bool requested() const noexcept { return (word_.load(std::memory_order_acquire) & requested_bit) != 0; }
  /// Returns whether this call was the first.
  bool request() noexcept;

 private:
  friend class stop_registration;
  // Bits of `word_`. Threads that wait for `locked_bit` or `requesting_bit` sleep on the word.
  static constexpr std::uint32_t requested_bit = 1;
  static constexpr std::uint32_t locked_bit = 2;
  static constexpr std::uint32_t requesting_bit = 4;  // request() calls the callbacks

  URING6_HIDDEN void lock() noexcept;
  URING6_HIDDEN void unlock(std::uint32_t cleared = locked_bit) noexcept;
  URING6_HIDDEN bool add(stop_registration& which) noexcept;
  URING6_HIDDEN void remove(stop_registration& which) noexcept;
  URING6_HIDDEN bool is_requester() const noexcept;

  std::atomic<std::uint32_t> word_{0};
  // Guarded by the lock.
  intrusive_list<stop_registration> registered_;
  stop_registration* running_ = nullptr;  // its `stopped` runs
  std::thread::id requester_;             // the thread in request()
  bool* destroyed_ = nullptr;             // a variable of request(): a callback destroyed this state
};

}  // namespace detail

/// Tells whether a stop was requested. A token is a pointer to its source: it may be used while the source lives, by
/// any thread. Copies are equal. It allocates nothing.
///
/// The token of a task belongs to the scope, the combinator or the loop that would stop the task: it may be used until
/// the task has ended. Go: context.Context.
class stop_token {
 public:
  /// A stop will never be requested.
  stop_token() = default;
#if URING6_STD_STOP_TOKEN
  /// A std::stop_token is one, too. The token then shares the state of the std::stop_source, as its copies do.
  stop_token(std::stop_token other) noexcept : other_(std::move(other)) {}  // NOLINT(google-explicit-constructor)
#endif

  /// A stop was requested.
  bool stop_requested() const noexcept {
    if (state_) return state_->requested();
#if URING6_STD_STOP_TOKEN
    return other_.stop_requested();
#else
    return false;
#endif
  }

  /// A stop was requested, or may be.
  bool stop_possible() const noexcept {
#if URING6_STD_STOP_TOKEN
    if (!state_) return other_.stop_possible();
#endif
    return state_ != nullptr;
  }

  friend bool operator==(const stop_token&, const stop_token&) = default;

 private:
  friend class stop_source;
  friend class detail::stop_registration;
  explicit stop_token(detail::stop_state& of) noexcept : state_(&of) {}

  detail::stop_state* state_ = nullptr;
#if URING6_STD_STOP_TOKEN
  std::stop_token other_;
#endif
};

/// Requests the stop of what has its token. It lives where it is made, and outlives the use of its tokens and the
/// callbacks that are registered with them (asserted). Allocates nothing. Go: the CancelFunc of context.WithCancel.
class stop_source {
 public:
  stop_source() = default;
  stop_source(const stop_source&) = delete;
  stop_source& operator=(const stop_source&) = delete;
  /// Waits for a request_stop() that runs on another thread.
  ~stop_source() = default;

  stop_token get_token() const noexcept { return stop_token(state_); }

  /// Calls the registered callbacks on this thread, in no defined order. Any thread. Returns whether this call was the
  /// first. A callback may destroy the source.
  bool request_stop() noexcept { return state_.request(); }
  bool stop_requested() const noexcept { return state_.requested(); }

 private:
  mutable detail::stop_state state_;
};

/// Calls `f` once when a stop is requested: on the thread that requests it, or in the constructor if that has happened
/// already. `f` must not throw. Its destructor waits for a call that runs on another thread; after it `f` is not
/// called. Go: context.AfterFunc.
template <class F>
class stop_callback final : detail::stop_registration {
 public:
  template <class Given>
  requires std::constructible_from<F, Given>
  explicit stop_callback(const stop_token& token, Given&& f) noexcept(std::is_nothrow_constructible_v<F, Given>)
      : f_(std::forward<Given>(f)) {
    attach(token);
  }
  ~stop_callback() { detach(); }

 private:
  void stopped() noexcept override {
    static_assert(std::is_invocable_v<F>);
    std::forward<F>(f_)();
  }

  F f_;
};
template <class F>
stop_callback(stop_token, F) -> stop_callback<F>;

}  // namespace uring6::inline v0

#pragma GCC diagnostic pop
