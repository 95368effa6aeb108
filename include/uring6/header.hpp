// The IPv6 header and the extension headers behind it (RFC 8200).
#pragma once

#include "uring6/version.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "uring6/address.hpp"
#include "uring6/detail/hash.hpp"
#include "uring6/detail/lifetime.hpp"
#include "uring6/export.hpp"
#include "uring6/protocol.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

/// An IPv6 header. Go: ipv6.Header.
struct URING6_EXPORT ipv6_header {
  static constexpr std::size_t size = 40;            ///< Bytes on the wire. Go: ipv6.HeaderLen.
  static constexpr std::uint8_t version_number = 6;  ///< Go: ipv6.Version.

  std::uint8_t version = version_number;
  std::uint8_t traffic_class = 0;
  std::uint32_t flow_label = 0;      ///< 0 to 0xfffff.
  std::uint16_t payload_length = 0;  ///< Bytes behind this header; 0 for a jumbogram (RFC 2675).
  ip_protocol next_header = ip_protocol::no_next_header;
  std::uint8_t hop_limit = 0;
  ip_address source{};
  ip_address destination{};

  /// Reads the header at the front of `packet`. `parse` does not look at the bytes behind the header, which may be
  /// cut off, as in the quotation of an ICMP error. Go: ipv6.ParseHeader, which takes any version.
  ///
  /// Error: `errc::malformed` if there are fewer than 40 bytes or the version is not 6.
  static result<ipv6_header> parse(std::span<const std::byte> packet) noexcept;

  /// Writes the header to the front of `area` and returns its size, 40 bytes. The header carries no zones. Go has
  /// none.
  ///
  /// Errors: `errc::out_of_range` if the version is not 6 or the flow label is above 0xfffff;
  /// `std::errc::no_buffer_space` if `area` has fewer than 40 bytes.
  result<std::size_t> encode(std::span<std::byte> area) const noexcept;

  friend bool operator==(const ipv6_header&, const ipv6_header&) = default;
};

/// All fields in Go's order: "ver=6 tclass=0xb8 flowlbl=0x0 payloadlen=8 nxthdr=58 hoplim=64 src=::1
/// dst=::1".
URING6_EXPORT std::string to_string(const ipv6_header& fixed);

using header [[deprecated("the name is ipv6_header")]] = ipv6_header;

/// An extension header, in place.
struct extension_header {
  ip_protocol type{};                  ///< The protocol number of this header.
  ip_protocol next_header{};           ///< The protocol number of what follows.
  std::size_t offset{};                ///< From the start of the IPv6 header, in bytes.
  std::span<const std::byte> bytes{};  ///< The whole header, its first two fields included.
};

/// What a fragment header says (RFC 8200, 4.5).
struct fragment_header {
  std::uint16_t offset = 0;  ///< Where the fragment stands in the fragmentable part, in bytes.
  bool more = false;         ///< Whether further fragments follow.
  std::uint32_t identification = 0;

  friend bool operator==(const fragment_header&, const fragment_header&) = default;
};

/// Steps over the extension headers of a packet to its upper layer. The walk stays inside of the packet and always
/// ends: each step takes at least eight bytes.
///
///     auto walk = or_throw(header_walk::over(packet));
///     while (auto next = or_throw(walk.next())) use(*next);
///     use(walk.protocol(), packet.subspan(walk.offset()));
///
/// The bytes of the packet must outlive the walk.
class URING6_EXPORT header_walk {
 public:
  /// Starts behind the IPv6 header of `packet`.
  ///
  /// Bytes beyond the header's payload length are not part of the packet. A packet shorter than the payload length
  /// (the quotation of an ICMP error) is walked to its end. Error: as `ipv6_header::parse`.
  static result<header_walk> over(std::span<const std::byte> packet URING6_LIFETIMEBOUND) noexcept;
  /// A temporary is refused: the walk would look at octets that are gone.
  template <detail::temporary_octets Packet>
  static result<header_walk> over(Packet&& packet) = delete;

  /// The next extension header; nullopt when the walk has reached the upper layer.
  ///
  /// Error: `errc::malformed` if the header is cut off, or if hop-by-hop options stand anywhere but in front. The
  /// walk then stays where it is.
  result<std::optional<extension_header>> next() noexcept;

  /// The protocol of what stands at `offset()`. After `next` has returned nullopt: the upper layer's protocol. In a
  /// later fragment: the protocol of the first fragment's beginning.
  ip_protocol protocol() const noexcept { return protocol_; }

  /// The position of the walk, in bytes from the start of the IPv6 header.
  std::size_t offset() const noexcept { return offset_; }

  /// The rest of the packet from `offset()` on.
  std::span<const std::byte> payload() const noexcept { return packet_.subspan(offset_); }

  /// The fragment header, if the walk has passed one. If its offset is above 0, the payload has no upper-layer
  /// header: it is a later part of a datagram.
  const std::optional<fragment_header>& fragment() const& noexcept URING6_LIFETIMEBOUND { return fragment_; }
  std::optional<fragment_header> fragment() const&& noexcept { return fragment_; }

 private:
  header_walk(std::span<const std::byte> packet, ip_protocol protocol) noexcept
      : packet_(packet), protocol_(protocol) {}

  std::span<const std::byte> packet_;
  std::size_t offset_ = ipv6_header::size;
  ip_protocol protocol_;
  std::optional<fragment_header> fragment_;
};

/// The upper layer of a packet, behind all extension headers.
struct upper_layer {
  ip_protocol protocol{};
  std::size_t offset{};                       ///< From the start of the IPv6 header, in bytes.
  std::span<const std::byte> payload{};       ///< The packet's bytes from `offset` on.
  std::optional<fragment_header> fragment{};  ///< Set if the packet is a fragment.
};

/// Walks to the upper layer in one call. The returned payload points into `packet`, which must outlive it; the
/// compiler refuses a temporary. Errors: as `header_walk`.
URING6_EXPORT result<upper_layer> find_upper_layer(std::span<const std::byte> packet URING6_LIFETIMEBOUND) noexcept;
template <detail::temporary_octets Packet>
result<upper_layer> find_upper_layer(Packet&& packet) = delete;

}  // namespace uring6::inline v0

template <>
struct std::hash<uring6::ipv6_header> {
  std::size_t operator()(const uring6::ipv6_header& of) const noexcept {
    return uring6::detail::hash_of(of.version, of.traffic_class, of.flow_label, of.payload_length, of.next_header,
                                   of.hop_limit, of.source, of.destination);
  }
};

template <>
struct std::hash<uring6::fragment_header> {
  std::size_t operator()(const uring6::fragment_header& of) const noexcept {
    return uring6::detail::hash_of(of.offset, of.more, of.identification);
  }
};
