// ip_address and endpoint: an IPv6 (or v4-mapped) address with its zone, alone and with a port.
#pragma once

#include "uring6/version.hpp"

#include <netinet/in.h>

#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "uring6/detail/hash.hpp"
#include "uring6/detail/lifetime.hpp"
#include "uring6/export.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

/// How far a multicast group reaches (RFC 7346). A scope without a name here keeps its number.
enum class multicast_scope : std::uint8_t {
  interface_local = 1,
  link_local = 2,
  realm_local = 3,
  admin_local = 4,
  site_local = 5,
  organization_local = 8,
  global = 14,
};

/// An IPv6 address and the zone (interface index) of a scoped address. Go: netip.Addr.
///
/// An IPv4 address is held as v4-mapped IPv6 (::ffff:192.0.2.1), as on a dual-stack socket; the predicates answer for
/// the IPv4 address inside. A value: 20 bytes, trivially copyable, safe to share between threads.
class URING6_EXPORT ip_address {
 public:
  using bytes_type = std::array<std::uint8_t, 16>;
  using v4_bytes_type = std::array<std::uint8_t, 4>;

  /// The unspecified address, `::`.
  constexpr ip_address() noexcept = default;

  /// From 16 bytes in network order. `zone` is an interface index, 0 for none.
  constexpr explicit ip_address(const bytes_type& bytes, std::uint32_t zone = 0) noexcept
      : bytes_(bytes), zone_(zone) {}

  /// The v4-mapped form of an IPv4 address in network order (RFC 4291, 2.5.5.2).
  static constexpr ip_address v4_mapped(const v4_bytes_type& v4) noexcept {
    return ip_address({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, v4[0], v4[1], v4[2], v4[3]});
  }

  static constexpr ip_address any() noexcept { return {}; }                             ///< ::
  static constexpr ip_address loopback() noexcept { return from_ends(0, 0, 1); }        ///< ::1
  static constexpr ip_address all_nodes() noexcept { return from_ends(0xff, 2, 1); }    ///< ff02::1
  static constexpr ip_address all_routers() noexcept { return from_ends(0xff, 2, 2); }  ///< ff02::2

  /// Reads RFC 4291 text ("2001:db8::1", "::ffff:192.0.2.1"), an IPv4 dotted quad ("127.0.0.1", which becomes
  /// v4-mapped), or either with a zone: "fe80::1%eth0", "fe80::1%2". `parse` takes a zone for an interface's name
  /// first and for a number second; a number need not name an interface that exists.
  ///
  /// Errors: `errc::not_an_address`; `errc::unknown_zone` if the zone is neither name nor number; the system's error if
  /// it could not be asked. Go: netip.ParseAddr, which is less strict about zones.
  static result<ip_address> parse(std::string_view text);

  /// RFC 5952 text; v4-mapped as "::ffff:192.0.2.1". The zone is written by name ("%eth0") if the index has one, else
  /// by number ("%7").
  std::string to_string() const;

  /// The 16 bytes in network order: a reference into an lvalue, a copy from a temporary. `->bytes()` on a temporary
  /// result refers to an address that is gone at the end of the expression.
  constexpr const bytes_type& bytes() const& noexcept URING6_LIFETIMEBOUND { return bytes_; }
  constexpr bytes_type bytes() && noexcept { return bytes_; }
  constexpr bytes_type bytes() const&& noexcept { return bytes_; }
  constexpr std::uint32_t zone() const noexcept { return zone_; }  ///< Interface index; 0: none.

  /// The same address in another zone; 0 takes the zone away.
  constexpr ip_address with_zone(std::uint32_t zone) const noexcept { return ip_address(bytes_, zone); }

  /// The IPv4 address inside a v4-mapped one, network order.
  constexpr std::optional<v4_bytes_type> to_v4() const noexcept {
    if (!is_v4_mapped()) return std::nullopt;
    return v4_bytes_type{bytes_[12], bytes_[13], bytes_[14], bytes_[15]};
  }

  /// ::ffff:0:0/96
  constexpr bool is_v4_mapped() const noexcept {
    const auto words = as_words();
    return (words[0] | words[1]) == 0 && words[2] == v4_prefix;
  }

  /// `::` or 0.0.0.0
  constexpr bool is_unspecified() const noexcept {
    const auto words = as_words();
    return (words[0] | words[1] | words[3]) == 0 && (words[2] == 0 || words[2] == v4_prefix);
  }

  /// ::1 or 127.0.0.0/8
  constexpr bool is_loopback() const noexcept {
    return as_words() == loopback().as_words() || (is_v4_mapped() && bytes_[12] == 127);
  }

  /// ff00::/8 or 224.0.0.0/4
  constexpr bool is_multicast() const noexcept {
    return bytes_[0] == 0xff || (is_v4_mapped() && (bytes_[12] & 0xf0) == 0xe0);
  }

  /// Unicast fe80::/10 or 169.254.0.0/16
  constexpr bool is_link_local() const noexcept {
    return (bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80) ||
           (is_v4_mapped() && bytes_[12] == 169 && bytes_[13] == 254);
  }

  /// fc00::/7 (RFC 4193)
  constexpr bool is_unique_local() const noexcept { return (bytes_[0] & 0xfe) == 0xfc; }

  /// Unicast that is neither unspecified, loopback nor link-local. A unique local address counts as global. Go:
  /// Addr.IsGlobalUnicast.
  constexpr bool is_global_unicast() const noexcept {
    return !is_unspecified() && !is_loopback() && !is_link_local() && !is_multicast() && !is_v4_broadcast();
  }

  /// Can be one host's own address: not unspecified, multicast or 255.255.255.255.
  constexpr bool is_unicast() const noexcept { return !is_unspecified() && !is_multicast() && !is_v4_broadcast(); }

  /// A group for source-specific multicast: ff3x::/32 (RFC 4607) or 232.0.0.0/8.
  constexpr bool is_source_specific() const noexcept {
    if (is_v4_mapped()) return bytes_[12] == 232;
    return bytes_[0] == 0xff && (bytes_[1] & 0xf0) == 0x30 && bytes_[2] == 0 && bytes_[3] == 0;
  }

  /// The scope of an IPv6 group (RFC 7346); nullopt for any other address.
  constexpr std::optional<multicast_scope> scope() const noexcept {
    if (bytes_[0] != 0xff) return std::nullopt;
    return static_cast<multicast_scope>(bytes_[1] & 0x0f);
  }

  constexpr bool is_interface_local_multicast() const noexcept {  ///< ffx1::/16
    return scope() == multicast_scope::interface_local;
  }
  constexpr bool is_link_local_multicast() const noexcept {  ///< ffx2::/16 or 224.0.0.0/24
    return scope() == multicast_scope::link_local ||
           (is_v4_mapped() && bytes_[12] == 224 && bytes_[13] == 0 && bytes_[14] == 0);
  }
  constexpr bool is_global_multicast() const noexcept {  ///< ffxe::/16
    return scope() == multicast_scope::global;
  }

  /// The solicited-node group of this address, ff02::1:ffxx:xxxx (RFC 4291, 2.7.1), in the same zone.
  constexpr ip_address solicited_node() const noexcept {
    return ip_address({0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, bytes_[13], bytes_[14], bytes_[15]}, zone_);
  }

  /// The zone counts: fe80::1%2 and fe80::1%3 are two addresses, and both differ from fe80::1.
  friend constexpr bool operator==(const ip_address& a, const ip_address& b) noexcept {
    // Two words: a call of memcmp would cost more than the comparison.
    using words = std::array<std::uint64_t, 2>;
    const auto left = std::bit_cast<words>(a.bytes_);
    const auto right = std::bit_cast<words>(b.bytes_);
    return ((left[0] ^ right[0]) | (left[1] ^ right[1])) == 0 && a.zone_ == b.zone_;
  }
  /// By bytes, then by zone.
  friend constexpr std::strong_ordering operator<=>(const ip_address&, const ip_address&) noexcept = default;

 private:
  static constexpr ip_address from_ends(std::uint8_t first, std::uint8_t second, std::uint8_t last) noexcept {
    return ip_address({first, second, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last});
  }

  // The address as four words in memory order. Each answer to a datagram tests the kind of its address; a comparison
  // octet by octet, or by memcmp, would cost more than the rest of the answer.
  static constexpr auto v4_prefix = std::bit_cast<std::uint32_t>(v4_bytes_type{0, 0, 0xff, 0xff});
  constexpr std::array<std::uint32_t, 4> as_words() const noexcept {
    return std::bit_cast<std::array<std::uint32_t, 4>>(bytes_);
  }

  constexpr bool is_v4_broadcast() const noexcept { return is_v4_mapped() && as_words()[3] == 0xffff'ffff; }

  bytes_type bytes_{};
  std::uint32_t zone_ = 0;
};

/// An address and a UDP or TCP port: one end of a conversation. Go: netip.AddrPort.
struct URING6_EXPORT endpoint {
  ip_address address{};
  std::uint16_t port = 0;  ///< Host byte order.
  // With this padding a copy is two whole words. Without it the compiler copies 22 octets in overlapping pieces, and
  // a read soon after the copy has to wait for the store buffer.
  std::uint16_t : 16;

  /// Reads "[2001:db8::1]:53", "[fe80::1%eth0]:53", "192.0.2.1:53" or ":53" (any address).
  ///
  /// Errors: `errc::missing_port`; `errc::out_of_range` for a port above 65535; `errc::not_an_address` for other text,
  /// including a port that is not a number; `errc::unknown_zone` as `ip_address::parse`.
  static result<endpoint> parse(std::string_view text);

  /// "[2001:db8::1]:53". A v4-mapped address keeps its brackets: "[::ffff:192.0.2.1]:53".
  std::string to_string() const;

  /// Reads what the kernel filled in, without the flow information.
  static endpoint from_sockaddr(const sockaddr_in6& from) noexcept {
    return {ip_address(std::bit_cast<ip_address::bytes_type>(from.sin6_addr), from.sin6_scope_id),
            swap_to_network(from.sin6_port)};
  }

  /// For the kernel: AF_INET6, the port in network order, the zone as scope id, no flow information.
  sockaddr_in6 to_sockaddr() const noexcept {
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = swap_to_network(port);
    to.sin6_addr = std::bit_cast<in6_addr>(address.bytes());
    to.sin6_scope_id = address.zone();
    return to;
  }

  friend constexpr bool operator==(const endpoint&, const endpoint&) noexcept = default;
  /// By address, then by port.
  friend constexpr std::strong_ordering operator<=>(const endpoint&, const endpoint&) noexcept = default;

 private:
  static constexpr std::uint16_t swap_to_network(std::uint16_t value) noexcept {
    if constexpr (std::endian::native == std::endian::big) return value;
    return static_cast<std::uint16_t>(value << 8 | value >> 8);
  }
};

}  // namespace uring6::inline v0

template <>
struct std::hash<uring6::ip_address> {
  std::size_t operator()(const uring6::ip_address& address) const noexcept {
    using uring6::detail::mix;
    const auto halves = std::bit_cast<std::array<std::uint64_t, 2>>(address.bytes());
    return static_cast<std::size_t>(mix(halves[0] + mix(halves[1] + mix(address.zone()))));
  }
};

template <>
struct std::hash<uring6::endpoint> {
  std::size_t operator()(const uring6::endpoint& end) const noexcept {
    return static_cast<std::size_t>(uring6::detail::mix(std::hash<uring6::ip_address>{}(end.address) + end.port));
  }
};
