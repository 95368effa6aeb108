// Conns for tests: on ::1, with payloads that identify themselves.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "uring6/event_loop.hpp"
#include "uring6/listen.hpp"
#include "uring6/packet_conn.hpp"

namespace uring6::test {

inline constexpr auto all_control =
    control_flags::traffic_class | control_flags::hop_limit | control_flags::destination | control_flags::interface;

/// A conn on [::1], any port.
inline packet_conn open_conn(event_loop& loop, const packet_options& options = {}) {
  return or_throw(listen_packet(loop, "udp6", "[::1]:0", options));
}

/// A raw conn, by default of a protocol number for experiments (RFC 3692).
inline packet_conn open_raw(event_loop& loop, const char* network = "ip6:253", const char* address = "::1") {
  return or_throw(listen_packet(loop, network, address));
}

/// The destination of raw conns on this host.
inline const endpoint to_loopback{ip_address::loopback(), 0};

inline packet_conn dial(event_loop& loop, const endpoint& peer, const packet_options& options = {}) {
  return or_throw(dial_packet(loop, "udp6", peer.to_string(), options));
}

inline endpoint name_of(const packet_conn& pc) {
  return or_throw(pc.local_endpoint());
}

inline std::span<const std::byte> as_payload(std::string_view text) noexcept {
  return std::as_bytes(std::span(text.data(), text.size()));
}

inline std::string_view as_text(std::span<const std::byte> payload) noexcept {
  return {reinterpret_cast<const char*>(payload.data()), payload.size()};
}

/// A datagram's number as its payload: eight octets.
struct numbered {
  explicit numbered(std::uint64_t number) noexcept { std::memcpy(bytes.data(), &number, sizeof number); }
  operator std::span<const std::byte>() const noexcept { return bytes; }  // NOLINT(google-explicit-constructor)
  std::array<std::byte, 8> bytes;
};

inline std::uint64_t number_in(std::span<const std::byte> payload) noexcept {
  std::uint64_t number = ~std::uint64_t{0};
  if (payload.size() >= sizeof number) std::memcpy(&number, payload.data(), sizeof number);
  return number;
}

/// Datagrams of equal length, cut from contiguous memory.
inline std::vector<write_slot> pieces_of(std::span<const std::byte> all, std::size_t length, const endpoint& there) {
  std::vector<write_slot> batch;
  for (std::size_t at = 0; at < all.size(); at += length) {
    batch.push_back({all.subspan(at, std::min(length, all.size() - at)), {}, there, {}});
  }
  return batch;
}

}  // namespace uring6::test
