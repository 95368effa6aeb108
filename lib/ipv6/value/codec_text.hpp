// Text that the to_string functions of the codecs share.
#pragma once

#include <string>
#include <string_view>

#include "ipv6/address/address_text.hpp"

namespace uring6::inline v0 {

/// The text of an address from a packet, without a zone.
inline std::string packet_address_text(const ip_address& address) {
  const auto nameless = [](std::uint32_t, std::span<char, zone_name_size>) { return std::string_view(); };
  return std::string(format_address(address, nameless).view());
}

}  // namespace uring6::inline v0
