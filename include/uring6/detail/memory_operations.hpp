// The awaiters of memory_socket. They live in the coroutine frame.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "uring6/datagram.hpp"
#include "uring6/detail/error_slot.hpp"
#include "uring6/detail/promise.hpp"
#include "uring6/detail/waiting.hpp"
#include "uring6/export.hpp"
#include "uring6/result.hpp"

// The destructors of the bases are protected, so no object is deleted through a base; GCC warns nevertheless, because
// the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6::inline v0::detail {

class memory_port;
template <class Waiter>
class reservation_queue;

class URING6_EXPORT memory_read_operation final : ready_node, waiting_hook, stop_listener {
 public:
  static constexpr std::string_view wait_name = "read_from";

  memory_read_operation(memory_port* port, std::span<std::byte> into, bool briefly) noexcept
      : port_(port), into_(into), briefly_(briefly) {}
  memory_read_operation(memory_read_operation&&) = default;
  ~memory_read_operation();

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> reader, const environment& in) { return suspend(reader, stop_of(in)); }
  void tell_wait(wait_listing& to) const;
  result<datagram> await_resume() noexcept;

 private:
  friend memory_port;
  friend reservation_queue<memory_read_operation>;
  friend class intrusive_list<memory_read_operation, waiting_hook>;

  // waiting: in the port's queue; reserved: about to resume, and a datagram is kept for it. Only the queue sets the
  // state.
  enum class state : std::uint8_t { idle, waiting, reserved };

  bool suspend(std::coroutine_handle<> reader, stop_root& stop);
  URING6_HIDDEN void stop_requested() noexcept override;

  memory_port* port_;
  std::span<std::byte> into_;
  error_slot error_;
  state state_ = state::idle;
  bool briefly_;
};

/// A write never waits for room. It is suspended only to let others run, when the turn's budget is used up.
class URING6_EXPORT memory_write_operation final : ready_node {
 public:
  static constexpr std::string_view wait_name = "write";

  memory_write_operation(memory_port* port, std::span<const std::byte> payload, const control_message& control,
                         const endpoint& destination) noexcept
      : port_(port), message_{payload, control, destination, {}} {}
  memory_write_operation(memory_write_operation&&) = default;

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> writer, const environment& in) { return suspend(writer, stop_of(in)); }
  void tell_wait(wait_listing& to) const;
  result<std::size_t> await_resume() noexcept;

 private:
  bool suspend(std::coroutine_handle<> writer, const stop_root& stop);

  memory_port* port_;
  write_slot message_;
};

}  // namespace uring6::inline v0::detail

#pragma GCC diagnostic pop
