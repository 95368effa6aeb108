// Echo (RFC 4443, section 4) and extended echo (RFC 8335, "PROBE").
#pragma once

#include "uring6/version.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "uring6/export.hpp"
#include "uring6/icmp/extension.hpp"
#include "uring6/icmp/list.hpp"
#include "uring6/icmp/type.hpp"

namespace uring6::inline v0::icmp {

/// An echo request or reply. Go: Echo.
template <icmp_type Type>
struct echo {
  static constexpr icmp_type type = Type;

  std::uint16_t identifier = 0;  ///< An unprivileged ICMP socket overwrites it with its own.
  std::uint16_t sequence = 0;
  std::span<const std::byte> data{};  ///< Must live as long as the message is used.
};

using echo_request = echo<icmp_type::echo_request>;  ///< Type 128.
using echo_reply = echo<icmp_type::echo_reply>;      ///< Type 129.

/// Type 160: asks a node about an interface, of the node itself or of a neighbor. Go: ExtendedEchoRequest.
struct extended_echo_request {
  static constexpr icmp_type type = icmp_type::extended_echo_request;

  std::uint16_t identifier = 0;
  std::uint8_t sequence = 0;
  bool local = true;  ///< The interface is the node's own. Always true for an interface by name or by index.
  /// One interface_ident. In a received request that is malformed the list is empty; answer such a request with
  /// `extended_echo_code::malformed_query`. To test that answer, send any number of raw_extension.
  list<extension> extensions{};
};

/// The outcome of an extended echo.
enum class extended_echo_code : std::uint8_t {
  no_error = 0,
  malformed_query = 1,
  no_such_interface = 2,
  no_such_table_entry = 3,
  multiple_interfaces = 4,
};

/// The neighbor's state in the probed node's cache, if the interface is not the node's own (RFC 8335, 3).
enum class neighbor_state : std::uint8_t {
  reserved = 0,
  incomplete = 1,
  reachable = 2,
  stale = 3,
  delay = 4,
  probe = 5,
  failed = 6,
};

/// The value in words ("no such interface"); empty if it has no name.
URING6_EXPORT std::string_view to_string(extended_echo_code code) noexcept;
URING6_EXPORT std::string_view to_string(neighbor_state state) noexcept;

/// Type 161. Go: ExtendedEchoReply.
struct extended_echo_reply {
  static constexpr icmp_type type = icmp_type::extended_echo_reply;

  extended_echo_code code = extended_echo_code::no_error;
  std::uint16_t identifier = 0;
  std::uint8_t sequence = 0;
  neighbor_state state = neighbor_state::reserved;  ///< 0 to 7.
  bool active = false;                              ///< The probed interface is up.
  bool ipv4 = false;                                ///< The interface runs IPv4.
  bool ipv6 = false;                                ///< The interface runs IPv6.
};

}  // namespace uring6::inline v0::icmp
