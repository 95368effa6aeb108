// The awaiters of tcp_conn and tcp_listener. They live in the coroutine frame.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "uring6/detail/error_slot.hpp"
#include "uring6/detail/operation.hpp"
#include "uring6/detail/promise.hpp"
#include "uring6/detail/waiting.hpp"
#include "uring6/export.hpp"
#include "uring6/result.hpp"

// The destructors of the bases are protected, so no object is deleted through a base; GCC warns nevertheless, because
// the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6::inline v0 {

class tcp_conn;

namespace detail {

class accept_queue;
class dial_race;
class stream_socket;
template <class Waiter>
class reservation_queue;

/// A read or a write of a stream, queued behind the earlier ones. The kernel uses the caller's memory until the
/// operation's last completion, so the destructor waits for that completion.
class URING6_EXPORT stream_operation : operation, ready_node, waiting_hook, stop_listener {
 public:
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiting, const environment& in) {
    return suspend(waiting, stop_of(in));
  }
  void tell_wait(wait_listing& to) const;

 protected:
  enum class kind : std::uint8_t { read, write_some, write_all };

  stream_operation(stream_socket* socket, kind of, void* data, std::size_t size, bool impatient) noexcept
      : socket_(socket), data_(static_cast<std::byte*>(data)), size_(size), kind_(of), impatient_(impatient) {}
  stream_operation(stream_operation&&) = default;
  ~stream_operation();

  /// Call first in await_resume. Returns the number of octets moved, or the error.
  result<std::size_t> outcome() noexcept;

 private:
  friend class stream_socket;
  friend class intrusive_list<stream_operation, waiting_hook>;

  bool suspend(std::coroutine_handle<> waiting, stop_root& stop);
  void prepare(io_uring_sqe& entry) noexcept override;
  void complete(completion what) noexcept override;
  void stop_requested() noexcept override;

  /// Where the operation is in its life. `phases` in stream_socket.cpp has every step from one to the next.
  enum class phase : std::uint8_t {
    unused,        // not begun, or begun and completed without a suspension, or removed from its queue
    waiting,       // in the queue of its socket; the ring does not have it
    transferring,  // a recv or send of it is queued in the ring or with the kernel
    polling,       // the same of a poll: another owner made the socket non-blocking, and it was not ready
    over           // has its outcome; its coroutine is in the ready queue, unless it was abandoned
  };
  /// Which end the caller has asked for. It only moves down this list.
  enum class early_end : std::uint8_t {
    none,
    stopped,   // a stop was requested: the octets of a read go to the next read
    abandoned  // its frame is being destroyed: the same, and no coroutine is resumed
  };

  URING6_HIDDEN void become(phase next) noexcept;
  bool is_with_ring() const noexcept { return phase_ == phase::transferring || phase_ == phase::polling; }
  bool is_over() const noexcept { return phase_ == phase::over; }
  bool gives_back() const noexcept { return reads() && early_end_ != early_end::none; }
  bool reads() const noexcept { return kind_ == kind::read; }
  bool done() const noexcept { return kind_ == kind::write_all ? moved_ == size_ : moved_ > 0; }

  stream_socket* socket_;
  std::byte* data_;
  std::size_t size_;
  std::size_t moved_ = 0;
  error_slot error_;  // set when the operation is over
  error_slot why_;    // why it is being ended: stopped, closed, deadline exceeded
  kind kind_;
  bool impatient_;  // MSG_DONTWAIT: ends with EAGAIN instead of waiting
  phase phase_ = phase::unused;
  early_end early_end_ = early_end::none;
};

class URING6_EXPORT stream_read_operation final : public stream_operation {
 public:
  static constexpr std::string_view wait_name = "read";

  stream_read_operation(stream_socket* socket, std::span<std::byte> into, bool impatient) noexcept
      : stream_operation(socket, kind::read, into.data(), into.size(), impatient) {}
  result<std::size_t> await_resume() noexcept { return outcome(); }
};

class URING6_EXPORT stream_write_operation final : public stream_operation {
 public:
  static constexpr std::string_view wait_name = "write";

  // The kernel only reads from this memory.
  stream_write_operation(stream_socket* socket, std::span<const std::byte> from, bool all,
                         bool impatient = false) noexcept
      : stream_operation(socket, all ? kind::write_all : kind::write_some, const_cast<std::byte*>(from.data()),
                         from.size(), impatient) {}
  result<std::size_t> await_resume() noexcept { return outcome(); }
};

/// Waits for a connection. The connection stays in the listener until the coroutine resumes.
class URING6_EXPORT accept_operation : ready_node, waiting_hook, stop_listener {
 public:
  static constexpr std::string_view wait_name = "accept";

  explicit accept_operation(accept_queue* queue) noexcept : queue_(queue) {}
  accept_operation(accept_operation&&) = default;
  ~accept_operation();

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiting, const environment& in) {
    return suspend(waiting, stop_of(in));
  }
  void tell_wait(wait_listing& to) const;
  result<tcp_conn> await_resume();

 private:
  friend class accept_queue;
  friend class reservation_queue<accept_operation>;
  friend class intrusive_list<accept_operation, waiting_hook>;

  // reserved: about to resume, and a connection is kept for it. Only reservation_queue sets the state.
  enum class state : std::uint8_t { idle, waiting, reserved };

  bool suspend(std::coroutine_handle<> waiting, stop_root& stop);
  URING6_HIDDEN void stop_requested() noexcept override;

  accept_queue* queue_;
  error_slot error_;
  state state_ = state::idle;
};

/// Connects to the first endpoint that answers.
class URING6_EXPORT dial_operation {
 public:
  static constexpr std::string_view wait_name = "dial";

  URING6_HIDDEN explicit dial_operation(std::unique_ptr<dial_race> race) noexcept;
  dial_operation(dial_operation&&) noexcept;
  ~dial_operation();

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiting, const environment& in) {
    return suspend(waiting, stop_of(in));
  }
  void tell_wait(wait_listing& to) const;
  result<tcp_conn> await_resume();

 private:
  bool suspend(std::coroutine_handle<> waiting, stop_root& stop);

  std::unique_ptr<dial_race> race_;
};

}  // namespace detail
}  // namespace uring6::inline v0

#pragma GCC diagnostic pop
