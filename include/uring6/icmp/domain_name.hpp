// A DNS name as router advertisements carry it: uncompressed (RFC 1035, 3.1).
#pragma once

#include "uring6/version.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "uring6/detail/hash.hpp"
#include "uring6/detail/lifetime.hpp"
#include "uring6/export.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0::icmp {

/// A DNS name with at least one label, up to 255 bytes on the wire. A value; allocates nothing.
class URING6_EXPORT domain_name {
 public:
  /// Reads "example.org" or "example.org.": labels of 1 to 63 printable ASCII characters.
  /// Error: `errc::malformed`.
  static result<domain_name> parse(std::string_view text) noexcept;

  /// Reads the name at the front of `bytes`; `wire().size()` is the number of bytes that the name took. Error:
  /// `errc::malformed` if it is cut off, empty, longer than 255 bytes or compressed.
  static result<domain_name> decode(std::span<const std::byte> bytes) noexcept;

  /// The labels with their lengths, including the final 0. The span points into the name, so a temporary name has
  /// none.
  std::span<const std::byte> wire() const& noexcept URING6_LIFETIMEBOUND { return {wire_.data(), size_}; }
  std::span<const std::byte> wire() const&& = delete;

  friend bool operator==(const domain_name& a, const domain_name& b) noexcept = default;

 private:
  domain_name() noexcept = default;

  std::array<std::byte, 255> wire_{};
  std::uint8_t size_ = 0;
};

/// "example.org". A dot or backslash inside of a label has a backslash before it; what is not printable becomes `\DDD`
/// (RFC 4343).
URING6_EXPORT std::string to_string(const domain_name& name);

}  // namespace uring6::inline v0::icmp

template <>
struct std::hash<uring6::icmp::domain_name> {
  std::size_t operator()(const uring6::icmp::domain_name& of) const noexcept {
    return uring6::detail::hash_of_all(of.wire());
  }
};
