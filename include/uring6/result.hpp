// result<T>: what every operation returns, and uring6's own error conditions.
#pragma once

#include "uring6/version.hpp"

#include <string>
#include <system_error>
#include <tl/expected.hpp>
#include <type_traits>
#include <utility>

#include "uring6/export.hpp"

namespace uring6 {

/// The outcome of an operation: a value, or the error code that says why there is none.
///
/// Always `tl::expected`, in every language mode, because it is part of the ABI. No operation throws for what the
/// network or the kernel does; use `or_throw` for an exception.
///
/// Compilers warn of a dropped result, except that of `close`; `(void)` drops one on purpose. For the result of an
/// awaited operation (`co_await pc.write_to(…);`) only clang warns, except for sleeping and for an `interval`; GCC 12
/// cannot.
template <class T>
using result = tl::expected<T, std::error_code>;

/// Conditions that no errno names. Each compares equal to the nearest `std::errc`.
enum class errc {
  deadline_exceeded = 1,  ///< A deadline passed first. Equal to `std::errc::timed_out`. Go: os.ErrDeadlineExceeded.
  closed,                 ///< The conn is closed. Equal to `std::errc::bad_file_descriptor`. Go: net.ErrClosed.
  canceled,               ///< A stop was requested. Equal to `std::errc::operation_canceled`. Go: context.Canceled.
  unknown_network,        ///< No network word ("udp6", ...). Equal to `std::errc::protocol_not_supported`.
  bad_address,            ///< Text that is no address. Equal to `std::errc::invalid_argument`.
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
};

/// The category of `errc`. Each message is a sentence that a user can act on.
URING6_EXPORT const std::error_category& error_category() noexcept;

inline std::error_code make_error_code(errc e) noexcept {
  return {static_cast<int>(e), error_category()};
}

/// An error result: `return fail(errc::closed);` or `return fail(std::errc::invalid_argument);`.
template <class E>
tl::unexpected<std::error_code> fail(E e) noexcept {
  if constexpr (std::is_same_v<E, std::error_code>) {
    return tl::unexpected<std::error_code>(e);
  } else {
    using std::make_error_code;
    return tl::unexpected<std::error_code>(make_error_code(e));
  }
}

/// An error result from an errno value, positive as in `errno`.
inline tl::unexpected<std::error_code> fail_errno(int error_number) noexcept {
  return tl::unexpected<std::error_code>(std::error_code(error_number, std::system_category()));
}

/// Returns the value of `r`, or throws `std::system_error`. With `what` the exception's text begins with it; say in
/// it what was tried, and on which object:
///
///     or_throw(pc.join_group(link, group), "join_group ff02::114 on eth0");
///
/// throws "join_group ff02::114 on eth0: no such network interface or zone".
template <class T>
T or_throw(result<T>&& r) {  // read in place: a copy of what was just written in pieces would stall
  if (!r) throw std::system_error(r.error());
  if constexpr (!std::is_void_v<T>) return std::move(*r);
}
template <class T>
T or_throw(const result<T>& r) {
  if (!r) throw std::system_error(r.error());
  if constexpr (!std::is_void_v<T>) return *r;
}
template <class T>
T or_throw(result<T>&& r, const char* what) {
  if (!r) throw std::system_error(r.error(), what);
  if constexpr (!std::is_void_v<T>) return std::move(*r);
}
template <class T>
T or_throw(result<T>&& r, const std::string& what) {
  return or_throw(std::move(r), what.c_str());
}
template <class T>
T or_throw(const result<T>& r, const std::string& what) {
  if (!r) throw std::system_error(r.error(), what);
  if constexpr (!std::is_void_v<T>) return *r;
}

}  // namespace uring6

template <>
struct std::is_error_code_enum<uring6::errc> : std::true_type {};
