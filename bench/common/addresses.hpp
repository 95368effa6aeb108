// The addresses of the growth table: a host has one ::1, but as many addresses of this network as the table has peers
// and conns. bench/growth makes a network namespace in which all of them are local.
#pragma once

#include <netinet/in.h>

#include <cstdint>

namespace bench {

/// fd00:6::/64, and in it the number plus one.
inline in6_addr address_of(std::uint32_t number) noexcept {
  in6_addr address{};
  address.s6_addr[0] = 0xfd;
  address.s6_addr[3] = 0x06;
  const std::uint32_t low = htonl(number + 1);
  __builtin_memcpy(address.s6_addr + 12, &low, sizeof low);
  return address;
}

/// The number of an address of this network.
inline std::uint32_t number_of(const in6_addr& address) noexcept {
  std::uint32_t low = 0;
  __builtin_memcpy(&low, address.s6_addr + 12, sizeof low);
  return ntohl(low) - 1;
}

}  // namespace bench
