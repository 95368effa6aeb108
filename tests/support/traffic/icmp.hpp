// Steps of every test of an ICMPv6 message.
#pragma once

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstddef>
#include <span>
#include <string_view>
#include <variant>

#include "support/traffic/bytes.hpp"
#include "uring6/icmp.hpp"

namespace uring6::test {

/// The encoded message, in memory of exactly its size.
inline bytes encoded(const icmp::message_body& body) {
  bytes area(70000);
  area.resize(or_throw(icmp::encode(body, area)));
  return exact(area);
}

/// The error of encoding a body; none if it can be encoded.
inline std::error_code encode_error(const icmp::message_body& body) {
  static bytes area(200000);
  const auto size = icmp::encode(body, area);
  return size ? std::error_code() : size.error();
}

/// The body of that type in `packet`, which must outlive it.
template <class Body>
Body parsed(std::span<const std::byte> packet) {
  return std::get<Body>(or_throw(icmp::parse(packet)).body);
}

/// The error of decoding `packet`; none if it is a message.
inline std::error_code refusal_of(const bytes& packet) {
  const auto read = icmp::parse(packet);
  return read ? std::error_code() : read.error();
}

/// The body encodes to exactly these bytes, and they decode to a body that encodes to them again.
inline void check_wire(const icmp::message_body& body, std::string_view hex) {
  const bytes expected = from_hex(hex);
  CHECK(to_hex(encoded(body)) == to_hex(expected));
  const auto back = icmp::parse(expected);
  REQUIRE(back);
  CHECK(back->type == icmp::type_of(body));
  CHECK(back->body.index() == body.index());
  CHECK(to_hex(encoded(back->body)) == to_hex(expected));
}

/// Every packet that is shorter than `whole` is malformed, and none is read beyond its end; every area that is too
/// short is refused.
inline void check_truncations(const icmp::message_body& body, std::size_t whole) {
  const bytes packet = encoded(body);
  for (std::size_t size = 0; size < packet.size(); ++size) {
    INFO("cut to " << size);
    const bytes cut = exact(std::span(packet).first(size));
    const auto read = icmp::parse(cut);
    if (size < whole) {
      CHECK((!read && read.error() == errc::malformed));
    } else {
      CHECK(read.has_value());
    }
    bytes area(size);
    CHECK(icmp::encode(body, area).error() == std::errc::no_buffer_space);
  }
}

}  // namespace uring6::test
