// The functions of the ICMPv6 codec that its files share: they read and write the body of each message.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ipv6/value/wire.hpp"
#include "uring6/icmp/message.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0::icmp::codec {

using wire::bytes;

/// Reads the body: the bytes behind the message's first four.
template <class Body>
result<Body> read(std::uint8_t code, bytes rest) noexcept;
template <>
result<destination_unreachable> read(std::uint8_t code, bytes rest) noexcept;
template <>
result<packet_too_big> read(std::uint8_t code, bytes rest) noexcept;
template <>
result<time_exceeded> read(std::uint8_t code, bytes rest) noexcept;
template <>
result<parameter_problem> read(std::uint8_t code, bytes rest) noexcept;
template <>
result<echo_request> read(std::uint8_t code, bytes rest) noexcept;
template <>
result<echo_reply> read(std::uint8_t code, bytes rest) noexcept;
template <>
result<extended_echo_request> read(std::uint8_t code, bytes rest) noexcept;
template <>
result<extended_echo_reply> read(std::uint8_t code, bytes rest) noexcept;
template <>
result<multicast_listener_query> read(std::uint8_t code, bytes rest) noexcept;
template <>
result<multicast_listener_report> read(std::uint8_t code, bytes rest) noexcept;
template <>
result<multicast_listener_done> read(std::uint8_t code, bytes rest) noexcept;
template <>
result<version2_multicast_listener_query> read(std::uint8_t code, bytes rest) noexcept;
template <>
result<version2_multicast_listener_report> read(std::uint8_t code, bytes rest) noexcept;
template <>
result<router_solicitation> read(std::uint8_t code, bytes rest) noexcept;
template <>
result<router_advertisement> read(std::uint8_t code, bytes rest) noexcept;
template <>
result<neighbor_solicitation> read(std::uint8_t code, bytes rest) noexcept;
template <>
result<neighbor_advertisement> read(std::uint8_t code, bytes rest) noexcept;
template <>
result<redirect> read(std::uint8_t code, bytes rest) noexcept;

/// Write the body: the bytes behind the message's first four. If the area is too short, `wire::writer::size` returns
/// the error.
result<void> write(wire::writer& out, const raw_body& body) noexcept;
result<void> write(wire::writer& out, const destination_unreachable& body) noexcept;
result<void> write(wire::writer& out, const packet_too_big& body) noexcept;
result<void> write(wire::writer& out, const time_exceeded& body) noexcept;
result<void> write(wire::writer& out, const parameter_problem& body) noexcept;
result<void> write(wire::writer& out, const echo_request& body) noexcept;
result<void> write(wire::writer& out, const echo_reply& body) noexcept;
result<void> write(wire::writer& out, const extended_echo_request& body) noexcept;
result<void> write(wire::writer& out, const extended_echo_reply& body) noexcept;
result<void> write(wire::writer& out, const multicast_listener_query& body) noexcept;
result<void> write(wire::writer& out, const multicast_listener_report& body) noexcept;
result<void> write(wire::writer& out, const multicast_listener_done& body) noexcept;
result<void> write(wire::writer& out, const version2_multicast_listener_query& body) noexcept;
result<void> write(wire::writer& out, const version2_multicast_listener_report& body) noexcept;
result<void> write(wire::writer& out, const router_solicitation& body) noexcept;
result<void> write(wire::writer& out, const router_advertisement& body) noexcept;
result<void> write(wire::writer& out, const neighbor_solicitation& body) noexcept;
result<void> write(wire::writer& out, const neighbor_advertisement& body) noexcept;
result<void> write(wire::writer& out, const redirect& body) noexcept;

/// The kind of message, which decides what extensions it may have.
enum class extension_rule { error_message, extended_echo };

/// The extensions in `structure`, which is the rest of the message (RFC 4884, 7). An empty list if it is no extension
/// structure: too short, another version, a wrong checksum, no object.
list<extension> read_extensions(bytes structure) noexcept;

/// Writes the extension structure. Writes nothing if the list is empty.
result<void> write_extensions(wire::writer& out, const list<extension>& extensions, extension_rule rule) noexcept;

/// Read and write the neighbor discovery options that are the rest of a message.
result<list<option>> read_options(bytes area) noexcept;
result<void> write_options(wire::writer& out, const list<option>& options) noexcept;

/// Is the duration 0 to `max` units, so that an unsigned field can hold it?
template <class Rep, class Period>
constexpr bool fits(std::chrono::duration<Rep, Period> value, std::int64_t max) noexcept {
  return value.count() >= 0 && value.count() <= max;
}

inline bytes bytes_of(std::string_view text) noexcept {
  return std::as_bytes(std::span(text));
}

/// The text in a field that is padded with zeros.
inline std::string_view padded_text(bytes field) noexcept {
  const std::string_view all(reinterpret_cast<const char*>(field.data()), field.size());
  return all.substr(0, all.find('\0'));
}

}  // namespace uring6::inline v0::icmp::codec
