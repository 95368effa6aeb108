// The ICMPv6 types that a raw socket receives (RFC 3542, 3.2).
#pragma once

#include "uring6/version.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

#include "uring6/detail/hash.hpp"
#include "uring6/icmp/type.hpp"

namespace uring6::inline v0 {

/// The filter of a raw ICMPv6 socket, with the layout of `struct icmp6_filter`: eight words in host order; a set bit
/// blocks its type. A new filter accepts all types. Go: ipv6.ICMPFilter; its methods panic for a type outside of 0
/// to 255; an `icmp_type` cannot be outside.
class icmp_filter {
 public:
  /// Accepts messages of the type.
  constexpr void accept(icmp_type type) noexcept { words_[word(type)] &= ~bit(type); }

  /// Blocks messages of the type.
  constexpr void block(icmp_type type) noexcept { words_[word(type)] |= bit(type); }

  /// Blocks all types, or accepts them all.
  constexpr void set_all(bool block) noexcept { words_.fill(block ? ~std::uint32_t{0} : 0); }

  /// Whether the filter blocks the type.
  constexpr bool will_block(icmp_type type) const noexcept { return (words_[word(type)] & bit(type)) != 0; }

  friend constexpr bool operator==(const icmp_filter&, const icmp_filter&) noexcept = default;

 private:
  friend struct std::hash<icmp_filter>;

  static constexpr std::size_t word(icmp_type type) noexcept { return static_cast<std::uint8_t>(type) >> 5; }
  static constexpr std::uint32_t bit(icmp_type type) noexcept {
    return std::uint32_t{1} << (static_cast<std::uint8_t>(type) & 31);
  }

  std::array<std::uint32_t, 8> words_{};
};

}  // namespace uring6::inline v0

template <>
struct std::hash<uring6::icmp_filter> {
  std::size_t operator()(const uring6::icmp_filter& of) const noexcept {
    return uring6::detail::hash_of_all(of.words_);
  }
};
