#include "uring6/icmp/echo.hpp"

#include "ipv6/icmp/icmp_codec.hpp"

namespace uring6::inline v0::icmp {

std::string_view to_string(extended_echo_code code) noexcept {
  switch (code) {
    case extended_echo_code::no_error:
      return "no error";
    case extended_echo_code::malformed_query:
      return "malformed query";
    case extended_echo_code::no_such_interface:
      return "no such interface";
    case extended_echo_code::no_such_table_entry:
      return "no such table entry";
    case extended_echo_code::multiple_interfaces:
      return "multiple interfaces satisfy query";
  }
  return {};
}

std::string_view to_string(neighbor_state state) noexcept {
  switch (state) {
    case neighbor_state::reserved:
      return "reserved";
    case neighbor_state::incomplete:
      return "incomplete";
    case neighbor_state::reachable:
      return "reachable";
    case neighbor_state::stale:
      return "stale";
    case neighbor_state::delay:
      return "delay";
    case neighbor_state::probe:
      return "probe";
    case neighbor_state::failed:
      return "failed";
  }
  return {};
}

namespace codec {
namespace {

constexpr unsigned local_flag = 0x01;
constexpr unsigned active_flag = 0x04, ipv4_flag = 0x02, ipv6_flag = 0x01;
constexpr unsigned state_shift = 5, max_state = 7;

template <class Body>
result<Body> read_echo(bytes rest) noexcept {
  wire::reader in(rest);
  const Body body{.identifier = in.u16(), .sequence = in.u16(), .data = in.rest()};
  if (!in.ok()) return fail(errc::malformed);
  return body;
}

template <class Body>
result<void> write_echo(wire::writer& out, const Body& body) noexcept {
  out.u16(body.identifier);
  out.u16(body.sequence);
  out.copy(body.data);
  return {};
}

}  // namespace

template <>
result<echo_request> read(std::uint8_t, bytes rest) noexcept {
  return read_echo<echo_request>(rest);
}

template <>
result<echo_reply> read(std::uint8_t, bytes rest) noexcept {
  return read_echo<echo_reply>(rest);
}

result<void> write(wire::writer& out, const echo_request& body) noexcept {
  return write_echo(out, body);
}

result<void> write(wire::writer& out, const echo_reply& body) noexcept {
  return write_echo(out, body);
}

template <>
result<extended_echo_request> read(std::uint8_t, bytes rest) noexcept {
  wire::reader in(rest);
  const extended_echo_request body{.identifier = in.u16(),
                                   .sequence = in.u8(),
                                   .local = (in.u8() & local_flag) != 0,
                                   .extensions = read_extensions(in.rest())};
  if (!in.ok()) return fail(errc::malformed);
  return body;
}

result<void> write(wire::writer& out, const extended_echo_request& body) noexcept {
  out.u16(body.identifier);
  out.u8(body.sequence);
  out.u8(body.local ? local_flag : 0);
  return write_extensions(out, body.extensions, extension_rule::extended_echo);
}

template <>
result<extended_echo_reply> read(std::uint8_t code, bytes rest) noexcept {
  wire::reader in(rest);
  extended_echo_reply body{.code = static_cast<extended_echo_code>(code), .identifier = in.u16(), .sequence = in.u8()};
  const std::uint8_t flags = in.u8();
  if (!in.ok()) return fail(errc::malformed);
  body.state = static_cast<neighbor_state>(flags >> state_shift);
  body.active = (flags & active_flag) != 0;
  body.ipv4 = (flags & ipv4_flag) != 0;
  body.ipv6 = (flags & ipv6_flag) != 0;
  return body;
}

result<void> write(wire::writer& out, const extended_echo_reply& body) noexcept {
  const auto state = static_cast<unsigned>(body.state);
  if (state > max_state) return fail(errc::out_of_range);
  out.u16(body.identifier);
  out.u8(body.sequence);
  out.u8(state << state_shift | (body.active ? active_flag : 0) | (body.ipv4 ? ipv4_flag : 0) |
         (body.ipv6 ? ipv6_flag : 0));
  return {};
}

}  // namespace codec
}  // namespace uring6::inline v0::icmp
