// The Internet checksum (RFC 1071) and the checksum of the layers above IPv6 (RFC 8200, 8.1).
#pragma once

#include "uring6/version.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

#include "uring6/address.hpp"
#include "uring6/export.hpp"
#include "uring6/protocol.hpp"

namespace uring6::inline v0 {

/// The checksum over `bytes`, computed with a checksum field of 0; it goes into that field. Over bytes with the right
/// value in the field the result is 0.
URING6_EXPORT std::uint16_t internet_checksum(std::span<const std::byte> bytes) noexcept;

/// The checksum over the IPv6 pseudo header and `packet`, the upper layer's header and payload. 0 if the checksum in
/// the packet is right. Go: icmp.IPv6PseudoHeader, which leaves the sum to Message.Marshal.
///
/// ICMPv6, OSPF and others send the result as it is; UDP sends 0xffff for 0.
URING6_EXPORT std::uint16_t upper_layer_checksum(std::span<const std::byte> packet, const ip_address& source,
                                                 const ip_address& destination, ip_protocol protocol) noexcept;

}  // namespace uring6::inline v0
