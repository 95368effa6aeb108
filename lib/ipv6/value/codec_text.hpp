// Text for the codecs' to_string functions.
#pragma once

#include <string>
#include <string_view>

#include "ipv6/address/address_text.hpp"

namespace uring6 {

/// An address as it stands in a packet: without the name of a zone, which no packet has.
inline std::string packet_address_text(const ip_address& address) {
  const auto nameless = [](std::uint32_t, std::span<char, zone_name_size>) { return std::string_view(); };
  return std::string(format_address(address, nameless).view());
}

}  // namespace uring6
