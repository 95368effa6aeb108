// The awaiters of packet_conn. They live in the coroutine frame. The kernel never writes to a frame.
#pragma once

#include <cassert>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "uring6/datagram.hpp"
#include "uring6/detail/error_slot.hpp"
#include "uring6/detail/open_train.hpp"
#include "uring6/detail/promise.hpp"
#include "uring6/detail/received_piece.hpp"
#include "uring6/detail/short_copy.hpp"
#include "uring6/detail/waiting.hpp"
#include "uring6/export.hpp"
#include "uring6/result.hpp"

// The destructors of the bases are protected, so no object is deleted through a base; GCC warns nevertheless, because
// the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6::inline v0 {

class datagram_batch;

namespace detail {

class packet_socket;
class receiver;
class sender;
template <class Waiter>
class reservation_queue;

/// A coroutine that waits until its conn has a datagram or an error for it. Made only when the conn has no datagram
/// at hand.
class URING6_EXPORT read_waiter final : public ready_node, public waiting_hook, stop_listener {
 public:
  explicit read_waiter(packet_socket* socket) noexcept : socket_(socket) {}
  ~read_waiter() {
    if (state_ != state::idle) leave();
  }

 private:
  friend class receiver;
  friend class read_operation;
  friend class reservation_queue<read_waiter>;

  // waiting: in the conn's queue; reserved: about to resume, and a datagram is kept for it. Only the queue sets the
  // state.
  enum class state : std::uint8_t { idle, waiting, reserved };

  void leave() noexcept;
  URING6_HIDDEN void stop_requested() noexcept override;

  packet_socket* socket_;
  error_slot error_;
  state state_ = state::idle;
};

/// What all reads share: they ask whether a datagram is at hand, and wait if none is.
class URING6_EXPORT read_operation {
 public:
  bool await_ready() const noexcept { return false; }
  void tell_wait(wait_listing& to) const;

 protected:
  explicit read_operation(packet_socket* socket) noexcept : socket_(socket) {}
  /// The moved-from operation counts as awaited, as that of ready_node.
  read_operation(read_operation&& from) noexcept : socket_(std::exchange(from.socket_, nullptr)) {
    assert((!from.waiter_ || from.waiter_->state_ == read_waiter::state::idle) && "moved while it waits");
    if (from.waiter_) waiter_.emplace(nullptr);
    from.waiter_.emplace(nullptr);
  }

  /// The receiver that has a datagram at hand; nullptr if none is.
  URING6_HIDDEN receiver* at_hand(stop_root& stop) noexcept;

  /// Called when no datagram is at hand. Returns true if the coroutine is suspended, with `briefly` for one turn of
  /// the loop. Returns false if it cannot wait; `error()` says why.
  URING6_HIDDEN bool wait(std::coroutine_handle<> reader, stop_root& stop, bool briefly = false);

  /// After a suspension: the receiver; nullptr if `error()` says what ended the wait.
  URING6_HIDDEN receiver* resumed() noexcept;

  /// Ends the read with an error.
  void refuse(error_slot why) noexcept { waiter_.emplace(socket_).error_ = why; }
  std::error_code error() const noexcept { return waiter_ ? waiter_->error_.code() : std::error_code(); }

  packet_socket* socket_;
  std::optional<read_waiter> waiter_;
};

class URING6_EXPORT read_from_operation final : public read_operation {
 public:
  static constexpr std::string_view wait_name = "read_from";

  read_from_operation(packet_socket* socket, std::span<std::byte> into, bool briefly) noexcept
      : read_operation(socket), data_(into.data()), size_(into.size()), briefly_(briefly) {}

  /// Takes the next datagram of the open train.
  void try_now(const environment& in) noexcept { take_of_train(stop_of(in)); }
  bool await_ready() const noexcept { return state_ == state::of_train; }
  bool await_suspend(std::coroutine_handle<> reader, const environment& in) { return suspend(reader, stop_of(in)); }

  result<datagram> await_resume() noexcept {
    if (state_ != state::of_train) return outcome();
    const open_train& train = this_threads_train;
    return made({data_, train.length}, *train.head, false, train.length);
  }

 private:
  enum class state : std::uint8_t { idle, of_train, asked };

  /// Copies the next datagram of the open train, if the train is this conn's and the datagram fits.
  URING6_HIDDEN void take_of_train(const stop_root& stop) noexcept {
    open_train& train = this_threads_train;
    // The length comes last: behind the stop's acquire the compiler would read it again.
    if (train.left == 0 || train.of != socket_ || state_ != state::idle || stop.stop_requested()) return;
    if (train.length > size_) return;
    const std::byte* const next = train.next;
    const std::size_t length = train.length;
    train.next += length;
    --train.left;
    copy_datagram(data_, next, length);
    state_ = state::of_train;
  }

  /// Fills the result member by member in its final place: a datagram is so large that every copy of it is
  /// measurable.
  static result<datagram> made(std::span<std::byte> payload, const datagram& head, bool truncated,
                               std::size_t full_length) noexcept {
    return result<datagram>(std::in_place, payload, head.control, head.source, truncated, head.control_truncated,
                            full_length);
  }

  bool suspend(std::coroutine_handle<> reader, stop_root& stop);
  result<datagram> outcome() noexcept;

  // The caller's buffer. Not a std::span: a span would be written as two words and read as one, and the read would
  // wait for the store buffer, as long as all the rest of a read takes.
  std::byte* data_;
  std::size_t size_;
  state state_ = state::idle;
  bool briefly_;
  received_piece taken_;  // set after the conn was asked; no head: it had nothing
};

class URING6_EXPORT read_batch_operation final : public read_operation {
 public:
  static constexpr std::string_view wait_name = "read_batch";

  read_batch_operation(packet_socket* socket, std::span<read_slot> messages, bool briefly) noexcept
      : read_operation(socket), messages_(messages), briefly_(briefly) {}

  bool await_suspend(std::coroutine_handle<> reader, const environment& in) { return suspend(reader, stop_of(in)); }
  result<std::size_t> await_resume() noexcept;

 private:
  bool suspend(std::coroutine_handle<> reader, stop_root& stop);

  std::span<read_slot> messages_;
  std::size_t count_ = 0;
  bool briefly_;
};

class URING6_EXPORT receive_operation final : public read_operation {
 public:
  static constexpr std::string_view wait_name = "receive";

  receive_operation(packet_socket* socket, datagram_batch& into, bool briefly) noexcept
      : read_operation(socket), into_(&into), briefly_(briefly) {}

  bool await_suspend(std::coroutine_handle<> reader, const environment& in) { return suspend(reader, stop_of(in)); }
  result<std::size_t> await_resume() noexcept;

 private:
  /// Gives the batch's old buffers back first, because the kernel may be waiting for them.
  bool suspend(std::coroutine_handle<> reader, stop_root& stop);

  datagram_batch* into_;
  std::size_t count_ = 0;
  bool briefly_;
};

/// A coroutine that waits until the kernel has taken its datagrams: one, or a batch.
class URING6_EXPORT write_waiter : ready_node, waiting_hook, stop_listener {
 public:
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> writer, const environment& in) { return suspend(writer, stop_of(in)); }
  void tell_wait(wait_listing& to) const;

 protected:
  enum class kind : std::uint8_t {
    write,
    nonblocking,  // a message that would have to wait for room in the socket is not sent
    flush         // has no message: waits until the datagrams of all other writes have gone
  };

  write_waiter(packet_socket* socket, std::span<write_slot> messages, bool addressed, kind of = kind::write) noexcept
      : socket_(socket), messages_(messages), kind_(of), addressed_(addressed) {}
  explicit write_waiter(packet_socket* socket) noexcept : socket_(socket), kind_(kind::flush), addressed_(false) {}
  write_waiter(write_waiter&&) = default;
  /// Of one message, which the derived class holds: it is moved, too.
  write_waiter(write_waiter&& from, write_slot& message) noexcept : write_waiter(std::move(from)) {
    messages_ = {&message, 1};
  }
  ~write_waiter();

  /// Call first in await_resume.
  URING6_HIDDEN void finish() noexcept;
  std::error_code error() const noexcept { return (first_error_ ? first_error_ : ended_).code(); }

  std::size_t sent_ = 0;

 private:
  friend class sender;
  friend class intrusive_list<write_waiter, waiting_hook>;

  bool suspend(std::coroutine_handle<> writer, stop_root& stop);
  void stop_requested() noexcept override;

  packet_socket* socket_;
  // Why no more messages go to the kernel: refused before the first attempt, stopped, closed, deadline exceeded.
  error_slot ended_;
  error_slot first_error_;
  std::span<write_slot> messages_;
  std::size_t next_ = 0;       // index of the first message that no train has taken
  std::size_t taken_ = 0;      // octets of that message that trains have taken, if it is cut into datagrams
  std::size_t in_flight_ = 0;  // datagrams in trains
  kind kind_;
  bool addressed_;  // each message has its own destination
};

class URING6_EXPORT write_operation final : public write_waiter {
 public:
  static constexpr std::string_view wait_name = "write";

  /// `destination` is nullptr on a connected conn.
  write_operation(packet_socket* socket, std::span<const std::byte> payload, const control_message& control,
                  const endpoint* destination, bool impatient) noexcept
      : write_waiter(socket, {&message_, 1}, destination != nullptr, impatient ? kind::nonblocking : kind::write),
        message_{payload, control, destination ? *destination : endpoint{}, {}} {}
  write_operation(write_operation&& from) noexcept : write_waiter(std::move(from), message_), message_(from.message_) {}
  result<std::size_t> await_resume() noexcept;

 private:
  write_slot message_;
};

/// Waits until everything that was written ahead has gone.
class URING6_EXPORT flush_operation final : public write_waiter {
 public:
  static constexpr std::string_view wait_name = "flush";

  explicit flush_operation(packet_socket* socket) noexcept : write_waiter(socket) {}
  result<void> await_resume() noexcept;
};

class URING6_EXPORT write_batch_operation final : public write_waiter {
 public:
  static constexpr std::string_view wait_name = "write_batch";

  write_batch_operation(packet_socket* socket, std::span<write_slot> messages, bool addressed, bool impatient) noexcept
      : write_waiter(socket, messages, addressed, impatient ? kind::nonblocking : kind::write) {}
  result<std::size_t> await_resume() noexcept;
};

}  // namespace detail
}  // namespace uring6::inline v0

#pragma GCC diagnostic pop
