// datagram_socket: what a service asks of its socket, so that its tests can give it another one.
#pragma once

#include "uring6/version.hpp"

#include <chrono>
#include <concepts>
#include <cstddef>
#include <optional>
#include <span>

#include "uring6/address.hpp"
#include "uring6/control_message.hpp"
#include "uring6/datagram.hpp"
#include "uring6/detail/awaitable.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

namespace detail {

template <class Operation, class Result>
concept ends_with = awaitable<Operation> && std::same_as<await_result<Operation>, Result>;

}  // namespace detail

/// A socket that sends and receives datagrams: `packet_conn`, `memory_socket`, or a program's own. A service that is a
/// template of it runs on all of them:
///
///     template <datagram_socket Socket>
///     task<> serve(Socket& socket);
///
/// The compiler checks the functions. These promises it cannot check:
/// - Each operation is a value until it is awaited, on the thread of its loop (elsewhere `errc::wrong_thread`), and
///   has exactly one outcome.
/// - A read waits for a datagram and takes one, from the first octet on. The payload lies in the caller's buffer;
///   `truncated` and `full_length` tell whether that was too short. Readers are served in the order in which they came.
/// - A read that ends with an error has taken no datagram: the next read gets it.
/// - A write takes the whole payload or nothing, and returns its length. It says nothing of what becomes of the
///   datagram: the network may lose, delay, repeat and reorder datagrams.
/// - `control` chooses the datagram's source, interface, traffic class and hop limit, as far as its fields are set. The
///   control message of a read has the fields that `set_control_message` asked for, and the source.
/// - A stop ends a waiting operation with `errc::canceled`, and `close` ends it with `errc::closed`. A deadline that
///   has passed ends it, and each later operation until the deadline is set anew, with `errc::deadline_exceeded`.
/// - When the `co_await` returns, the socket uses the caller's memory no more.
/// - `is_transient` holds for the errors after which the socket works on.
template <class Socket>
concept datagram_socket = std::movable<Socket> &&
    requires(Socket& socket, const Socket& unchanged, std::span<std::byte> buffer, std::span<const std::byte> payload,
             const control_message& control, const endpoint& there, control_flags flags,
             std::optional<std::chrono::steady_clock::time_point> when) {
  { socket.read_from(buffer) } -> detail::ends_with<result<datagram>>;
  { socket.write_to(payload, control, there) } -> detail::ends_with<result<std::size_t>>;
  { socket.write_to(payload, there) } -> detail::ends_with<result<std::size_t>>;
  { socket.set_control_message(flags, true) } -> std::same_as<result<void>>;
  { socket.set_deadline(when) } -> std::same_as<result<void>>;
  { socket.set_read_deadline(when) } -> std::same_as<result<void>>;
  { socket.set_write_deadline(when) } -> std::same_as<result<void>>;
  { unchanged.local_endpoint() } -> std::same_as<result<endpoint>>;
  { unchanged.is_open() } -> std::convertible_to<bool>;
  socket.close();
};

}  // namespace uring6::inline v0
