// ICMPv6 error messages (RFC 4443, section 3).
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

/// Why a packet did not reach its destination.
enum class unreachable_code : std::uint8_t {
  no_route = 0,
  administratively_prohibited = 1,
  beyond_scope = 2,
  address_unreachable = 3,
  port_unreachable = 4,
  source_policy = 5,
  reject_route = 6,
  source_routing_header = 7,  ///< RFC 6550
  headers_too_long = 8,       ///< RFC 8883
};

/// What was exceeded.
enum class time_exceeded_code : std::uint8_t {
  hop_limit = 0,
  fragment_reassembly = 1,
};

/// What the node could not process.
enum class parameter_problem_code : std::uint8_t {
  erroneous_header_field = 0,
  unrecognized_next_header = 1,
  unrecognized_option = 2,
  incomplete_header_chain = 3,                ///< RFC 7112
  segment_routing_upper_layer = 4,            ///< RFC 8754
  unrecognized_next_header_intermediate = 5,  ///< RFC 8883, as are the codes below
  extension_header_too_big = 6,
  extension_header_chain_too_long = 7,
  too_many_extension_headers = 8,
  too_many_options = 9,
  option_too_big = 10,
};

/// The registry's words ("port unreachable"); empty for a code without words.
URING6_EXPORT std::string_view to_string(unreachable_code code) noexcept;
URING6_EXPORT std::string_view to_string(time_exceeded_code code) noexcept;
URING6_EXPORT std::string_view to_string(parameter_problem_code code) noexcept;

/// Type 1. Go: DstUnreach.
struct destination_unreachable {
  static constexpr icmp_type type = icmp_type::destination_unreachable;

  unreachable_code code = unreachable_code::no_route;
  /// The start of the packet that caused the error, from its IPv6 header on (`ipv6_header::parse`). In a received
  /// message with extensions, zeros follow it (RFC 4884, 4). To send with extensions: up to 2040 bytes.
  std::span<const std::byte> data{};
  /// Any extensions but interface_ident.
  list<extension> extensions{};
};

/// Type 2. Go: PacketTooBig.
struct packet_too_big {
  static constexpr icmp_type type = icmp_type::packet_too_big;

  std::uint32_t mtu = 0;              ///< MTU of the next link, bytes.
  std::span<const std::byte> data{};  ///< The start of the packet that caused the error.
};

/// Type 3. Go: TimeExceeded.
struct time_exceeded {
  static constexpr icmp_type type = icmp_type::time_exceeded;

  time_exceeded_code code = time_exceeded_code::hop_limit;
  std::span<const std::byte> data{};  ///< As in destination_unreachable.
  list<extension> extensions{};       ///< Any extensions but interface_ident.
};

/// Type 4. Go: ParamProb. The message has no room for extensions (RFC 4884, 4.6).
struct parameter_problem {
  static constexpr icmp_type type = icmp_type::parameter_problem;

  parameter_problem_code code = parameter_problem_code::erroneous_header_field;
  std::uint32_t pointer = 0;          ///< Offset of the problem in that packet, bytes; may lie beyond `data`.
  std::span<const std::byte> data{};  ///< The start of the packet that caused the error.
};

}  // namespace uring6::inline v0::icmp
