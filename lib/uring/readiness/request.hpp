// One operation that this process executes: its submission entry, and where it stands.
#pragma once

#include <liburing.h>
#include <sys/epoll.h>

#include <cassert>
#include <cstdint>

#include "uring6/detail/intrusive_list.hpp"

namespace uring6::inline v0::detail {

// The entry ends in an array of no length, which is of no use here.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"

/// idle -> waiting or runnable -> idle, and between these two in any order. An operation that ends at its first attempt
/// stays idle.
struct request : list_hook {
  enum class state : std::uint8_t {
    idle,      // no operation
    waiting,   // in the list of its descriptor
    runnable,  // in the driver's list: there may be more to do, and nothing has to become ready before
  };

  ::io_uring_sqe entry;
  state where = state::idle;
  bool connecting = false;        // connect has been called, and has not ended
  bool stream = false;            // of a read into provided buffers: an empty result is the end of the stream
  std::uint16_t expected = 0;     // of such a read: half as many datagrams as the next call asks for
  std::uint32_t awaited = 0;      // EPOLLIN, EPOLLOUT, ...: what it waits for
  std::uint32_t transferred = 0;  // octets that earlier calls have sent or received

  /// Of a poll: what it reports. The kernel's reports the last three also where the entry does not name them.
  std::uint32_t polled_events() const noexcept {
    constexpr std::uint32_t events = 0xffff;  // without EPOLLET and its like, which are the driver's choice
    return (entry.poll32_events & events) | EPOLLERR | EPOLLHUP | EPOLLRDHUP;
  }

  /// A request is in a list exactly while it waits or is runnable.
  void become(state now) noexcept {
    assert((now != state::idle) == linked());
    where = now;
  }

  bool stays_armed() const noexcept {
    switch (entry.opcode) {
      case IORING_OP_RECV:
      case IORING_OP_RECVMSG:
        return entry.ioprio & IORING_RECV_MULTISHOT;
      case IORING_OP_POLL_ADD:
        return entry.len & IORING_POLL_ADD_MULTI;
      default:
        return false;
    }
  }
};

#pragma GCC diagnostic pop

/// What an attempt came to.
struct attempt_result {
  enum class kind : std::uint8_t {
    ended,      // with `result` (octets, a descriptor, or the negative errno) and `flags` (IORING_CQE_F_*)
    not_ready,  // the descriptor is not ready for `events`
    more,       // it can go on at once, but other operations come first
  };
  kind what = kind::ended;
  std::int32_t result = 0;
  std::uint32_t flags = 0;
  std::uint32_t events = 0;

  static attempt_result end(std::int64_t result, std::uint32_t flags = 0) noexcept {
    return {kind::ended, static_cast<std::int32_t>(result), flags, 0};
  }
  static attempt_result wait(std::uint32_t events) noexcept { return {kind::not_ready, 0, 0, events}; }
  static attempt_result go_on() noexcept { return {kind::more, 0, 0, 0}; }
};

}  // namespace uring6::inline v0::detail
