// Messages over a Unix socket that keeps their bounds (SOCK_SEQPACKET), with or without a descriptor. unix(7)
#pragma once

#include <cstddef>
#include <span>

#include "sys/socket/file_descriptor.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

/// Is it a Unix socket of SOCK_SEQPACKET? Errors: EBADF, ENOTSOCK; wrong_protocol_type.
result<void> check_message_socket(int fd) noexcept;

/// Sends one message without waiting. `passed`: a descriptor that goes along, -1: none. Errors: EAGAIN; EPIPE without
/// SIGPIPE; EMSGSIZE if the send buffer cannot hold the message; ENOTCONN, … SCM_RIGHTS
result<void> send_message(int socket, std::span<const std::byte> octets, int passed = -1) noexcept;

/// A message that has arrived.
struct received_message {
  std::size_t size = 0;         ///< 0: the peer has closed the socket, or sends no more.
  file_descriptor passed{};     ///< The first descriptor that came along. Close-on-exec.
  std::size_t descriptors = 0;  ///< How many came along. The others are closed.
  bool truncated = false;       ///< The message was longer than the buffer.
  bool refused = false;         ///< The process could not take a descriptor, as beyond RLIMIT_NOFILE. MSG_CTRUNC
};

/// Takes one message without waiting. Errors: EAGAIN; ENOTCONN, …
result<received_message> receive_message(int socket, std::span<std::byte> into) noexcept;

}  // namespace uring6::inline v0
