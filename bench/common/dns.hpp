// A name server's part of the wire (RFC 1035): one zone in memory, questions read with bounds, answers written. The
// responders in C++ share it and differ in how they receive and send; the Go peer has its own in go/dns.go.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

namespace bench::dns {

/// Hosts of the zone bench.test: h0, h1, … Each has an address of either family that says its number.
constexpr std::uint32_t hosts = 10'000;

/// The longest answer, octets: header, question, and an SOA record whose names end in pointers.
constexpr std::size_t largest_answer = 12 + 255 + 4 + 50;

/// Answers A and AAAA of its hosts; other types and the zone's own name with no data, other names of the zone with
/// NXDOMAIN, both with the SOA record (RFC 2308); other zones and classes with REFUSED.
class zone {
 public:
  zone();

  /// Writes the answer to `query`, and returns its length; 0 if none is due: to an answer, or to less than a header.
  /// The names behind the question (EDNS) are not read.
  std::size_t answer(std::span<const std::byte> query, std::span<std::byte, largest_answer> room) const noexcept;

 private:
  struct hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  std::unordered_map<std::string, std::uint32_t, hash, std::equal_to<>> hosts_;  // by name in wire form, to number
};

}  // namespace bench::dns
