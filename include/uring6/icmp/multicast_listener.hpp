// Multicast listener discovery: MLDv1 (RFC 2710) and MLDv2 (RFC 3810). Go has neither.
#pragma once

#include "uring6/version.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "uring6/address.hpp"
#include "uring6/export.hpp"
#include "uring6/icmp/list.hpp"
#include "uring6/icmp/type.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0::icmp {

/// A message of MLDv1. Its three types share one format.
template <icmp_type Type>
struct version1_multicast_listener {
  static constexpr icmp_type type = Type;

  std::chrono::milliseconds max_response_delay{0};  ///< 0 to 65535; used in queries only.
  ip_address group{};                               ///< The group; `::` in a general query.
};

/// Type 130, 24 bytes long.
using multicast_listener_query = version1_multicast_listener<icmp_type::multicast_listener_query>;
/// Type 131.
using multicast_listener_report = version1_multicast_listener<icmp_type::multicast_listener_report>;
/// Type 132.
using multicast_listener_done = version1_multicast_listener<icmp_type::multicast_listener_done>;

/// The code for a delay of 0 to 8387584 ms, rounded down to a delay that a code can express (RFC 3810, 5.1.3). Error:
/// `errc::out_of_range`.
URING6_EXPORT result<std::uint16_t> max_response_code(std::chrono::milliseconds delay) noexcept;

/// The code for an interval of 0 to 31744 s, rounded down to an interval that a code can express (RFC 3810, 5.1.9).
/// Error: `errc::out_of_range`.
URING6_EXPORT result<std::uint8_t> query_interval_code(std::chrono::seconds interval) noexcept;

/// Type 130, at least 28 bytes long: the query of MLDv2.
struct URING6_EXPORT version2_multicast_listener_query {
  static constexpr icmp_type type = icmp_type::multicast_listener_query;

  std::uint16_t max_response_code = 0;      ///< See `max_response_delay`.
  ip_address group{};                       ///< `::` in a general query.
  bool suppress_router_processing = false;  ///< S
  std::uint8_t robustness = 0;              ///< QRV, 0 to 7.
  std::uint8_t query_interval_code = 0;     ///< QQIC; see `query_interval`.
  list<ip_address> sources{};               ///< Empty unless the query asks about sources.

  /// The delay that the code stands for.
  std::chrono::milliseconds max_response_delay() const noexcept;
  std::chrono::seconds query_interval() const noexcept;
};

/// What a record of a report says about a group (RFC 3810, 5.2.12).
enum class record_type : std::uint8_t {
  mode_is_include = 1,
  mode_is_exclude = 2,
  change_to_include = 3,
  change_to_exclude = 4,
  allow_new_sources = 5,
  block_old_sources = 6,
};

/// The type in words ("change to include"); empty if it has none.
URING6_EXPORT std::string_view to_string(record_type type) noexcept;

/// The state of one group at the sender of a report.
struct listener_record {
  record_type type = record_type::mode_is_include;
  ip_address group{};
  list<ip_address> sources{};              ///< Up to 65535.
  std::span<const std::byte> auxiliary{};  ///< MLDv2 defines none. A multiple of 4 bytes, up to 1020.
};

/// "change to exclude ff02::114 sources ::1 ::2".
URING6_EXPORT std::string to_string(const listener_record& record);

/// Type 143: the report of MLDv2.
struct version2_multicast_listener_report {
  static constexpr icmp_type type = icmp_type::version2_multicast_listener_report;

  list<listener_record> records{};  ///< Up to 65535.
};

namespace detail {

template <>
struct URING6_EXPORT element<listener_record> {
  static std::size_t size(std::span<const std::byte> rest) noexcept;
  static listener_record read(std::span<const std::byte> bytes) noexcept;
};

}  // namespace detail
}  // namespace uring6::inline v0::icmp
