// Properties of every ICMPv6 message, shared by the targets of its families.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "fuzz/fuzz.hpp"
#include "uring6/icmp.hpp"

namespace uring6::fuzz {

using bytes = std::span<const std::byte>;

inline const ip_address near = ip_address({0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
inline const ip_address far = ip_address({0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});

inline std::span<std::byte> area() {
  static std::vector<std::byte> room(1 << 17);
  return room;
}

/// Encodes a body that must be encodable, and returns its bytes.
inline std::vector<std::byte> written(const icmp::message_body& body) {
  const auto size = icmp::encode(body, area());
  check(size.has_value(), "it can be written");
  return {area().begin(), area().begin() + static_cast<std::ptrdiff_t>(*size)};
}

/// Any bytes: they are refused, or decoded, encoded and decoded again to the same.
inline void check_packet(bytes packet) {
  const auto message = icmp::parse(packet);
  if (!message) {
    check(message.error() == errc::malformed, "what is refused is malformed");
    return;
  }
  check(icmp::type_of(message->body) == message->type, "the body is of the message's type");
  check(!to_string(message->body).empty(), "a message prints");
  // A peer may send extensions in messages that may have none. decode accepts them, encode refuses them.
  if (const auto size = icmp::encode(message->body, area()); !size) {
    check(size.error() == std::errc::invalid_argument, "what was read can be written");
    return;
  }
  const auto first = written(message->body);
  const auto again = icmp::parse(first);
  check(again.has_value(), "what was written can be read");
  check(again->body.index() == message->body.index(), "it is a body of the same kind");
  check(written(again->body) == first, "it is written as it was");
  check(to_string(again->body) == to_string(message->body), "it says the same");

  const auto size = icmp::encode(message->body, area(), near, far);
  check(size == first.size(), "the checksum takes no room");
  check(icmp::parse(area().first(*size), near, far).has_value(), "the checksum that was written is right");
}

/// Any values: they are refused, or encoded and decoded to the same.
inline void check_values(const icmp::message_body& body) {
  const auto size = icmp::encode(body, area());
  if (!size) {
    const std::error_code why = size.error();
    check(why == errc::out_of_range || why == errc::too_long || why == std::errc::invalid_argument,
          "what cannot be written has a reason");
    return;
  }
  const std::vector<std::byte> packet(area().begin(), area().begin() + static_cast<std::ptrdiff_t>(*size));
  const auto message = icmp::parse(packet);
  check(message.has_value(), "what was written can be read");
  check(message->body.index() == body.index(), "it is a body of the same kind");
  check(to_string(message->body) == to_string(body), "it says the same");
  check(written(message->body) == packet, "it is written as it was");
}

}  // namespace uring6::fuzz
