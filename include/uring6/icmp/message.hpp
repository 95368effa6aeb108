// An ICMPv6 message (RFC 4443): read from a packet, written to one.
#pragma once

#include "uring6/version.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>

#include "uring6/address.hpp"
#include "uring6/detail/lifetime.hpp"
#include "uring6/export.hpp"
#include "uring6/icmp/echo.hpp"
#include "uring6/icmp/error_message.hpp"
#include "uring6/icmp/multicast_listener.hpp"
#include "uring6/icmp/neighbor_discovery.hpp"
#include "uring6/icmp/type.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0::icmp {

/// A message of another type, or a message of any type in bytes that the caller lays out. Go: RawBody.
struct raw_body {
  icmp_type type{};
  std::uint8_t code = 0;
  std::span<const std::byte> data{};  ///< What follows the message's header of four bytes.
};

/// The content of a message. It includes the type and, where the type has codes, the code, so that both always fit
/// the rest. Go: MessageBody.
using message_body =
    std::variant<raw_body, destination_unreachable, packet_too_big, time_exceeded, parameter_problem, echo_request,
                 echo_reply, multicast_listener_query, multicast_listener_report, multicast_listener_done,
                 router_solicitation, router_advertisement, neighbor_solicitation, neighbor_advertisement, redirect,
                 version2_multicast_listener_query, version2_multicast_listener_report, extended_echo_request,
                 extended_echo_reply>;

/// The type that a message with this body has.
URING6_EXPORT icmp_type type_of(const message_body& body) noexcept;

/// A received message. It points into its packet. Go: Message.
struct message {
  icmp_type type{};
  std::uint8_t code = 0;
  std::uint16_t checksum = 0;  ///< As received.
  message_body body{};
};

/// Reads a message without checking its checksum, for a packet that the kernel has verified: every ICMPv6 socket
/// delivers such packets. Go: ParseMessage.
///
/// Nothing is copied: data, lists and names point into `packet`, which must outlive the message; the compiler refuses
/// a temporary. `parse` refuses what the RFCs tell a receiver to refuse, as far as the message alone shows it. A type
/// that is not among `message_body` becomes a raw_body.
///
/// Error: `errc::malformed`.
URING6_EXPORT result<message> parse(std::span<const std::byte> packet URING6_LIFETIMEBOUND) noexcept;
template <uring6::detail::temporary_octets Packet>
result<message> parse(Packet&& packet) = delete;

/// The same for a packet that the kernel has not verified: a wrong checksum is `errc::malformed`. Go never checks it
/// (golang/go#70340).
///
/// `source`, `destination`: those of the IPv6 header; behind a routing header, the final destination.
URING6_EXPORT result<message> parse(std::span<const std::byte> packet URING6_LIFETIMEBOUND, const ip_address& source,
                                    const ip_address& destination) noexcept;
template <uring6::detail::temporary_octets Packet>
result<message> parse(Packet&& packet, const ip_address& source, const ip_address& destination) = delete;

/// Writes a message with a checksum of 0, which the kernel fills in on every ICMPv6 socket. Returns the number of
/// bytes. Nothing is allocated. `area` must not overlap what the body points to. Go: Message.Marshal(nil).
///
/// Errors, after which the content of `area` is unspecified: `std::errc::no_buffer_space` if `area` is too short;
/// `errc::out_of_range` for a value outside of its field or against the RFC; `errc::too_long` for a list or data that
/// its length field cannot hold; `std::errc::invalid_argument` for an extension that the message may not have.
URING6_EXPORT result<std::size_t> encode(const message_body& body, std::span<std::byte> area) noexcept;

/// The same with the checksum (RFC 4443, 2.3), for a packet that the kernel sends as it is. Go: Message.Marshal(psh).
URING6_EXPORT result<std::size_t> encode(const message_body& body, std::span<std::byte> area, const ip_address& source,
                                         const ip_address& destination) noexcept;

/// The message in one line: "echo request id=1 seq=2 data=56".
URING6_EXPORT std::string to_string(const message_body& body);
/// As its body.
URING6_EXPORT std::string to_string(const message& one);

}  // namespace uring6::inline v0::icmp
