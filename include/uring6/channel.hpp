// channel<T>: values from task to task, through a buffer of fixed size. Go: chan.
#pragma once

#include "uring6/version.hpp"

#include <cstddef>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "uring6/detail/exceptions.hpp"
#include "uring6/detail/lifetime.hpp"
#include "uring6/detail/permit_queue.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

template <class T>
class channel;

namespace detail {

/// `Kept` is T& for a value that the caller moves in, T for a copy.
template <class T, class Kept>
class send_operation final : public permit_waiter {
 public:
  static constexpr std::string_view wait_name = "channel::send";

  result<void> await_resume() noexcept {
    if (const auto error = resume()) return fail(error);
    return to_.put(value_);
  }

 private:
  friend channel<T>;
  template <class Source>
  send_operation(channel<T>& to, Source& value) : permit_waiter(to.room_), to_(to), value_(value) {}

  channel<T>& to_;
  Kept value_;
};

template <class T>
class channel_receive_operation final : public permit_waiter {
 public:
  static constexpr std::string_view wait_name = "channel::receive";

  result<T> await_resume() noexcept {
    if (const auto error = resume()) return fail(error);
    return from_.take();
  }

 private:
  friend channel<T>;
  explicit channel_receive_operation(channel<T>& from) noexcept : permit_waiter(from.items_), from_(from) {}

  channel<T>& from_;
};

}  // namespace detail

/// A queue of at most `capacity` values between any number of senders and receivers, in tasks of one loop or of
/// several. First come, first served. Any thread may call the functions that do not wait. The channel must outlive
/// the waiting tasks.
///
/// Each value is received exactly once: a stopped receive takes none, and a stopped send puts none in.
///
/// The constructor allocates. A wait allocates when more coroutines of its loop wait than ever before (std::bad_alloc
/// out of the co_await). A call that wakes a waiting coroutine does not allocate.
template <class T>
class channel {
  static_assert(std::is_nothrow_move_constructible_v<T>, "a value must not be lost half way");

 public:
  /// Throws std::invalid_argument for a capacity of 0.
  explicit channel(std::size_t capacity)
      : buffer_(at_least_one(capacity)), room_(mutex_, capacity), items_(mutex_, 0) {}
  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;

  /// Waits for room and puts `value` in. An rvalue is moved from only on success, and must live until the operation
  /// has ended. Errors: `errc::closed`, `errc::canceled`, `errc::wrong_thread` outside of a running loop. Go:
  /// c <- value.
  [[nodiscard("co_await it")]] detail::send_operation<T, T&> send(T&& value URING6_LIFETIMEBOUND) noexcept {
    return {*this, value};
  }
  [[nodiscard("co_await it")]] detail::send_operation<T, T> send(const T& value) { return {*this, value}; }

  /// Waits for a value. Errors: `errc::closed` when the channel is closed and empty, `errc::canceled`,
  /// `errc::wrong_thread` outside of a running loop. Go: value, ok := <-c.
  [[nodiscard("co_await it")]] detail::channel_receive_operation<T> receive() noexcept {
    return detail::channel_receive_operation<T>(*this);
  }

  /// Puts `value` in if the channel is open and has room; `value` is moved from only then.
  [[nodiscard]] bool try_send(T&& value) noexcept {
    const std::scoped_lock lock(mutex_);
    if (closed_ || !room_.take()) return false;
    push(value);
    return true;
  }

  /// Takes a value if the channel has one.
  [[nodiscard]] std::optional<T> try_receive() noexcept {
    const std::scoped_lock lock(mutex_);
    if (!items_.take()) return std::nullopt;
    return pop();
  }

  /// Closes the channel: senders get `errc::closed`, receivers get the values that are left and then `errc::closed`.
  /// Go: close.
  void close() noexcept {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    room_.close();
    items_.close();
  }

  bool is_open() const noexcept {
    const std::scoped_lock lock(mutex_);
    return !closed_;
  }
  /// The number of values in the channel.
  std::size_t size() const noexcept {
    const std::scoped_lock lock(mutex_);
    return size_;
  }
  std::size_t capacity() const noexcept { return buffer_.size(); }

 private:
  template <class, class>
  friend class detail::send_operation;
  friend detail::channel_receive_operation<T>;

  static std::size_t at_least_one(std::size_t capacity) {
    if (capacity == 0) {
      detail::throw_or_terminate(std::invalid_argument("uring6: a channel needs a capacity of 1 or more"));
    }
    return capacity;
  }

  // The caller holds a permit of room_ or of items_.
  result<void> put(T& value) noexcept {
    const std::scoped_lock lock(mutex_);
    if (closed_) return fail(errc::closed);
    push(value);
    return {};
  }
  T take() noexcept {
    const std::scoped_lock lock(mutex_);
    return pop();
  }

  void push(T& value) noexcept {
    buffer_[(first_ + size_) % buffer_.size()].emplace(std::move(value));
    ++size_;
    items_.give(1);
  }
  T pop() noexcept {
    std::optional<T>& slot = buffer_[first_];
    T value = std::move(*slot);
    slot.reset();
    first_ = (first_ + 1) % buffer_.size();
    --size_;
    room_.give(1);
    return value;
  }

  mutable std::mutex mutex_;
  std::vector<std::optional<T>> buffer_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
  bool closed_ = false;
  detail::permit_queue room_;   // a permit for each free place
  detail::permit_queue items_;  // a permit for each value
};

}  // namespace uring6::inline v0
