// Control bytes in the kernel's format, right and wrong ones.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "support/traffic/bytes.hpp"
#include "uring6/control_message.hpp"

namespace uring6::test {

/// Appends one control message in the kernel's format, with a `cmsg_len` that the test chooses.
template <class T>
void append(bytes& to, int level, int type, const T& value, std::size_t length = sizeof(cmsghdr) + sizeof(T)) {
  const std::size_t at = to.size();
  to.resize(at + cmsg::space(sizeof(T)));
  cmsghdr header{};
  header.cmsg_len = length;
  header.cmsg_level = level;
  header.cmsg_type = type;
  std::memcpy(to.data() + at, &header, sizeof header);
  std::memcpy(to.data() + at + sizeof header, &value, sizeof value);
}

inline in6_pktinfo pktinfo(const ip_address& address, std::uint32_t index) {
  return {.ipi6_addr = std::bit_cast<in6_addr>(address.bytes()), .ipi6_ifindex = index};
}

}  // namespace uring6::test
