// Opening TCP sockets, and their options.
#pragma once

#include <optional>

#include "sys/socket/file_descriptor.hpp"
#include "uring6/tcp.hpp"

namespace uring6::inline v0::detail {

/// An AF_INET6 stream socket with these options; neither bound nor connected.
result<file_descriptor> open_tcp_socket(bool only_v6, const tcp_options& options);

/// Before the socket is bound or connected: the caller's own options. The hook's error.
result<void> ask_hook(const tcp_options& options, int fd, const endpoint& address);

/// Whether a descriptor that the caller opened is one of TCP over IPv6. Errors: EBADF, ENOTSOCK,
/// address_family_not_supported, wrong_protocol_type.
result<void> check_tcp_socket(int fd);

result<void> set_keep_alive(int fd, const std::optional<keep_alive>& when);
result<std::optional<keep_alive>> get_keep_alive(int fd);

}  // namespace uring6::inline v0::detail
