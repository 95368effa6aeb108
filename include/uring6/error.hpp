// The errors of uring6: conditions that no errno names, and which errors leave an object usable.
#pragma once

#include "uring6/version.hpp"

#include <system_error>
#include <type_traits>

#include "uring6/export.hpp"

namespace uring6::inline v0 {

/// Conditions that no errno names. Each compares equal to the nearest `std::errc`.
enum class errc {
  deadline_exceeded = 1,  ///< A deadline passed first. Equal to `std::errc::timed_out`. Go: os.ErrDeadlineExceeded.
  closed,                 ///< The conn is closed. Equal to `std::errc::bad_file_descriptor`. Go: net.ErrClosed.
  canceled,               ///< A stop was requested. Equal to `std::errc::operation_canceled`. Go: context.Canceled.
  unknown_network,        ///< No network word ("udp6", ...). Equal to `std::errc::protocol_not_supported`.
  not_an_address,         ///< Text that is no address. Equal to `std::errc::invalid_argument`.
  missing_port,           ///< An address without its port. Equal to `std::errc::invalid_argument`.
  unknown_zone,           ///< A zone or interface that does not exist. Equal to `std::errc::no_such_device`.
  not_multicast,          ///< A group that is not multicast. Equal to `std::errc::invalid_argument`.
  already_joined,         ///< The group is joined already. Equal to `std::errc::address_in_use`.
  not_joined,             ///< A leave without a join. Equal to `std::errc::address_not_available`.
  out_of_range,           ///< A value outside its range. Equal to `std::errc::invalid_argument`.
  too_long,               ///< More than one datagram can carry. Equal to `std::errc::message_size`.
  wrong_thread,   ///< Used on a thread that does not run its loop. Equal to `std::errc::operation_not_permitted`.
  forked,         ///< Used in the child of a fork. Equal to `std::errc::operation_not_permitted`.
  malformed,      ///< Bytes that are not what they claim to be. Equal to `std::errc::bad_message`.
  zone_mismatch,  ///< An address in the zone of another interface. Equal to `std::errc::invalid_argument`.
  needless_zone,  ///< A zone on an address that is the same host on every link. Equal to `std::errc::invalid_argument`.
  bound_to_group,  ///< The conn is bound to one group and can join no other. Equal to `std::errc::invalid_argument`.
  ipv4_address,    ///< An IPv4 address where only IPv6 is possible (udp6). Equal to `std::errc::invalid_argument`.
  no_ipv6,         ///< No IPv6 socket can be opened. Equal to `std::errc::address_family_not_supported`. EAFNOSUPPORT
  /// The kernel has a path MTU event: `packet_conn::read_path_mtu_event` returns it. Equal to
  /// `std::errc::message_size`.
  path_mtu_event,
  /// A subscription was cut off, because it held as much as it may (`when_behind::cut_off`). Equal to
  /// `std::errc::no_buffer_space`.
  fell_behind,

  bad_address [[deprecated("the name is errc::not_an_address")]] = not_an_address,
};

/// The category of `errc`. Each message is a sentence that a user can act on.
URING6_EXPORT const std::error_category& error_category() noexcept;

inline std::error_code make_error_code(errc e) noexcept {
  return {static_cast<int>(e), error_category()};
}

/// Whether the error leaves the packet_conn, raw conn or tcp_listener that gave it usable, so that a loop around it
/// goes on: the same call can succeed later. Others are final for the object (`errc::closed`), for the loop that
/// makes the call (`errc::canceled`, `errc::deadline_exceeded`), or a mistake of the program (`errc::too_long`).
///
///     for (;;) {
///       auto next = co_await listener.accept();
///       if (!next && is_transient(next.error())) continue;
///       if (!next) co_return;
///       clients.spawn(serve(std::move(*next)));
///     }
///
/// - What an earlier datagram met, which the kernel reports at any later call: ECONNREFUSED, EHOSTUNREACH, ENETUNREACH,
///   EHOSTDOWN, ENETDOWN, EACCES, EPROTO, EMSGSIZE, and from IPv4 ENOPROTOOPT, ENONET and EOPNOTSUPP (ICMPv6 and ICMP;
///   ipv6(7), udp(7)). accept(2) has them, too.
/// - What the machine lacks at the moment: ENOBUFS, ENOMEM, EMFILE, ENFILE, EAGAIN, EINTR. After EMFILE and ENFILE
///   `accept` itself waits before it tries again.
/// - A connection that ended before it was accepted: ECONNABORTED. accept(2)
/// - A packet filter that refuses what is sent: EPERM.
/// - News for which there is a call: `errc::path_mtu_event`.
///
/// Not for a tcp_conn: every error of its read or write ends the connection.
URING6_EXPORT bool is_transient(const std::error_code& error) noexcept;

}  // namespace uring6::inline v0

template <>
struct std::is_error_code_enum<uring6::errc> : std::true_type {};
