// One entry of the submission queue, as an operation fills it (operation::prepare), and what the kernel writes in front
// of a received datagram. With this header no other floor needs liburing.
#pragma once

#include <liburing.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>

#include "uring/kernel_abi.hpp"
#include "uring6/detail/operation.hpp"

namespace uring6::inline v0::detail {

/// Writes an io_uring_sqe. Exactly one of the verbs is called, and after it those that refine the request. The memory
/// that a request names must stay valid until its last completion.
class submission {
 public:
  explicit submission(::io_uring_sqe& entry) noexcept : entry_(entry) {}

  // --- verbs ---

  void poll(int fd, unsigned events) noexcept { ::io_uring_prep_poll_add(&entry_, fd, events); }

  /// `offset`: in octets; -1 is the file's own position.
  void read(int fd, void* into, unsigned octets, std::uint64_t offset) noexcept {
    ::io_uring_prep_read(&entry_, fd, into, octets, offset);
  }
  void write(int fd, const void* from, unsigned octets, std::uint64_t offset) noexcept {
    ::io_uring_prep_write(&entry_, fd, from, octets, offset);
  }

  void accept(int fd, sockaddr* peer, socklen_t* peer_length, int flags) noexcept {
    ::io_uring_prep_accept(&entry_, fd, peer, peer_length, flags);
  }
  void connect(int fd, const sockaddr* to, socklen_t to_length) noexcept {
    ::io_uring_prep_connect(&entry_, fd, to, to_length);
  }

  void recv(int fd, void* into, std::size_t octets, int flags) noexcept {
    ::io_uring_prep_recv(&entry_, fd, into, octets, flags);
  }
  /// Reads until it is canceled, into buffers of the group: the payload alone.
  void recv_multishot(int fd, int flags, std::uint16_t buffer_group) noexcept {
    ::io_uring_prep_recv_multishot(&entry_, fd, nullptr, 0, flags);
    select_buffers(buffer_group);
  }
  /// The same with source and control data; `layout` says how much room they have in each buffer.
  void recvmsg_multishot(int fd, msghdr& layout, int flags, std::uint16_t buffer_group) noexcept {
    ::io_uring_prep_recvmsg_multishot(&entry_, fd, &layout, static_cast<unsigned>(flags));
    select_buffers(buffer_group);
  }

  void send(int fd, const void* from, std::size_t octets, int flags) noexcept {
    ::io_uring_prep_send(&entry_, fd, from, octets, flags);
  }
  void sendmsg(int fd, const msghdr& message, int flags) noexcept {
    ::io_uring_prep_sendmsg(&entry_, fd, &message, static_cast<unsigned>(flags));
  }
  /// Has a second completion when the kernel no longer reads the payload; it says whether the kernel copied after all.
  void sendmsg_without_copy(int fd, const msghdr& message, int flags) noexcept {
    ::io_uring_prep_sendmsg_zc(&entry_, fd, &message, static_cast<unsigned>(flags));
    entry_.ioprio = kernel_abi::send_zc_report_usage;
  }

  // --- refinements ---

  /// Of a send: where to.
  void to(const sockaddr* name, socklen_t length) noexcept {
    entry_.addr2 = reinterpret_cast<std::uintptr_t>(name);
    entry_.addr_len = static_cast<std::uint16_t>(length);
  }

  /// Success has no completion (IOSQE_CQE_SKIP_SUCCESS): the operation is a quiet one (operation::prepare).
  void skip_success() noexcept { entry_.flags |= IOSQE_CQE_SKIP_SUCCESS; }

 private:
  void select_buffers(std::uint16_t group) noexcept {
    entry_.flags |= IOSQE_BUFFER_SELECT;
    entry_.buf_group = group;
  }

  ::io_uring_sqe& entry_;
};

/// The last completion of a send without copy.
inline bool is_notification(completion what) noexcept {
  return what.flags & IORING_CQE_F_NOTIF;
}
inline bool says_copied(completion what) noexcept {
  return static_cast<std::uint32_t>(what.result) & kernel_abi::notif_usage_zc_copied;
}

/// What the kernel writes at the beginning of a buffer that a recvmsg_multishot has filled.
using received_header = ::io_uring_recvmsg_out;

}  // namespace uring6::inline v0::detail
