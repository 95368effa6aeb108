// How a conn reads and writes: the flags of all its reads and writes.
#pragma once

#include "uring6/version.hpp"

#include <cstdint>

#include "uring6/flags.hpp"

namespace uring6::inline v0 {

/// How a packet_conn or a tcp_conn reads.
enum class read_flags : std::uint8_t {
  none = 0,
  /// Ends with `std::errc::resource_unavailable_try_again` instead of waiting if there is nothing to read, or if
  /// another coroutine waits to read it. MSG_DONTWAIT.
  dont_wait = 1,
};

template <>
inline constexpr bool is_flags<read_flags> = true;

/// How a packet_conn or a tcp_conn writes.
enum class write_flags : std::uint8_t {
  none = 0,
  /// Ends with `std::errc::resource_unavailable_try_again` instead of waiting if the socket has no room. In a batch
  /// that is the error of each message for which there is none. MSG_DONTWAIT.
  dont_wait = 1,
};

template <>
inline constexpr bool is_flags<write_flags> = true;

}  // namespace uring6::inline v0
