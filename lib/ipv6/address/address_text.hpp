// Parsing and formatting of addresses. The caller passes functions that look up the names of interfaces.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "uring6/address.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

/// Octets of the longest interface name with its final NUL. IFNAMSIZ
inline constexpr std::size_t zone_name_size = 16;

/// Finds the index of the interface called `name`; `errc::unknown_zone` if there is none.
using zone_index_lookup = result<std::uint32_t> (*)(std::string_view name);

/// Finds the name of the interface with that index and writes it to `buffer`; empty if there is none.
using zone_name_lookup = std::string_view (*)(std::uint32_t index, std::span<char, zone_name_size> buffer);

/// A text of limited length that needs no allocation.
class address_text {
 public:
  /// Octets. The longest endpoint has 63: "[", 39 of the address, "%", 15 of the zone, "]:", 5 of the port.
  static constexpr std::size_t capacity = 64;

  std::string_view view() const noexcept { return {chars_.data(), size_}; }

  /// Appends the text. Precondition (asserted): it fits.
  void append(std::string_view text) noexcept;
  /// Appends a number in base 10 or 16, without leading zeros.
  void append(std::uint32_t value, int base) noexcept;

 private:
  std::array<char, capacity> chars_;
  std::size_t size_ = 0;
};

result<ip_address> parse_address(std::string_view text, zone_index_lookup find_zone);
result<endpoint> parse_endpoint(std::string_view text, zone_index_lookup find_zone);

address_text format_address(const ip_address& address, zone_name_lookup find_name);
address_text format_endpoint(const endpoint& end, zone_name_lookup find_name);

}  // namespace uring6::inline v0
