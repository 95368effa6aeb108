#include "uring6/icmp/message.hpp"

#include <cassert>
#include <limits>
#include <type_traits>
#include <variant>

#include "ipv6/icmp/icmp_codec.hpp"
#include "uring6/checksum.hpp"

namespace uring6::inline v0::icmp {
namespace {

using codec::bytes;

static_assert(std::is_trivially_copyable_v<message> && std::is_trivially_destructible_v<message>);

constexpr std::size_t header_size = 4;
constexpr std::size_t checksum_offset = 2;
constexpr std::size_t max_size = std::numeric_limits<std::uint16_t>::max();

template <class Body>
result<message_body> read(std::uint8_t code, bytes rest) noexcept {
  const auto body = codec::read<Body>(code, rest);
  if (!body) return fail(body.error());
  return message_body(*body);
}

// The length of a query tells its version (RFC 3810, 8.1).
result<message_body> read_query(std::uint8_t code, bytes rest) noexcept {
  if (rest.size() == 20) return read<multicast_listener_query>(code, rest);
  return read<version2_multicast_listener_query>(code, rest);
}

result<message_body> read_body(icmp_type type, std::uint8_t code, bytes rest) noexcept {
  switch (type) {
    case icmp_type::destination_unreachable:
      return read<destination_unreachable>(code, rest);
    case icmp_type::packet_too_big:
      return read<packet_too_big>(code, rest);
    case icmp_type::time_exceeded:
      return read<time_exceeded>(code, rest);
    case icmp_type::parameter_problem:
      return read<parameter_problem>(code, rest);
    case icmp_type::echo_request:
      return read<echo_request>(code, rest);
    case icmp_type::echo_reply:
      return read<echo_reply>(code, rest);
    case icmp_type::multicast_listener_query:
      return read_query(code, rest);
    case icmp_type::multicast_listener_report:
      return read<multicast_listener_report>(code, rest);
    case icmp_type::multicast_listener_done:
      return read<multicast_listener_done>(code, rest);
    case icmp_type::router_solicitation:
      return read<router_solicitation>(code, rest);
    case icmp_type::router_advertisement:
      return read<router_advertisement>(code, rest);
    case icmp_type::neighbor_solicitation:
      return read<neighbor_solicitation>(code, rest);
    case icmp_type::neighbor_advertisement:
      return read<neighbor_advertisement>(code, rest);
    case icmp_type::redirect:
      return read<redirect>(code, rest);
    case icmp_type::version2_multicast_listener_report:
      return read<version2_multicast_listener_report>(code, rest);
    case icmp_type::extended_echo_request:
      return read<extended_echo_request>(code, rest);
    case icmp_type::extended_echo_reply:
      return read<extended_echo_reply>(code, rest);
    default:
      return message_body(raw_body{type, code, rest});
  }
}

template <class Body>
icmp_type type_of_body(const Body& body) noexcept {
  return body.type;
}

template <class Body>
std::uint8_t code_of_body(const Body& body) noexcept {
  if constexpr (requires { body.code; }) {
    return static_cast<std::uint8_t>(body.code);
  } else {
    return 0;
  }
}

}  // namespace

icmp_type type_of(const message_body& body) noexcept {
  return std::visit([](const auto& one) { return type_of_body(one); }, body);
}

result<message> parse(std::span<const std::byte> packet) noexcept {
  if (packet.size() < header_size) return fail(errc::malformed);
  message parsed{.type = static_cast<icmp_type>(wire::load8(packet)),
                 .code = wire::load8(packet, 1),
                 .checksum = wire::load16(packet, checksum_offset),
                 .body = {}};
  const auto body = read_body(parsed.type, parsed.code, packet.subspan(header_size));
  if (!body) return fail(body.error());
  parsed.body = *body;
  return parsed;
}

result<message> parse(std::span<const std::byte> packet, const ip_address& source,
                      const ip_address& destination) noexcept {
  if (upper_layer_checksum(packet, source, destination, ip_protocol::icmpv6) != 0) return fail(errc::malformed);
  return parse(packet);
}

result<std::size_t> encode(const message_body& body, std::span<std::byte> area) noexcept {
  wire::writer out(area);
  const auto written = std::visit(
      [&out](const auto& one) {
        out.u8(static_cast<std::uint8_t>(type_of_body(one)));
        out.u8(code_of_body(one));
        out.u16(0);
        return codec::write(out, one);
      },
      body);
  if (!written) return fail(written.error());
  if (out.position() > max_size) return fail(errc::too_long);
  return out.size();
}

result<std::size_t> encode(const message_body& body, std::span<std::byte> area, const ip_address& source,
                           const ip_address& destination) noexcept {
  const auto size = encode(body, area);
  if (!size) return size;
  const std::uint16_t sum = upper_layer_checksum(area.first(*size), source, destination, ip_protocol::icmpv6);
  assert(*size >= header_size && *size <= max_size);
  wire::store16(area, checksum_offset, sum);
  return size;
}

namespace codec {

result<void> write(wire::writer& out, const raw_body& body) noexcept {
  out.copy(body.data);
  return {};
}

}  // namespace codec
}  // namespace uring6::inline v0::icmp
