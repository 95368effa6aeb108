// The packets on the wire, taken from an interface.
#pragma once

#include <linux/if_ether.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "support/machine/veth_pair.hpp"
#include "sys/socket/file_descriptor.hpp"

namespace uring6::test {

/// A packet, from its IP header on. Its UDP checksum may be unfinished: between veth devices the kernel leaves it to
/// hardware that does not exist.
using packet = std::vector<std::uint8_t>;

/// Captures every packet of one protocol that arrives at one end of a cable, from its construction on. AF_PACKET
class packet_capture {
 public:
  explicit packet_capture(const veth_end& end, std::uint16_t protocol = ETH_P_IPV6);

  /// The next packet that `wanted` accepts; earlier ones are dropped. Nothing after `limit`, which ends a test that has
  /// failed.
  template <class Wanted>
  std::optional<packet> find(Wanted wanted, std::chrono::seconds limit = std::chrono::seconds(10)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (std::optional<packet> got = next(end)) {
      if (wanted(*got)) return got;
    }
    return std::nullopt;
  }

  /// The next packet; nothing if none comes until `end`.
  std::optional<packet> next(std::chrono::steady_clock::time_point end);

 private:
  file_descriptor fd_;
};

}  // namespace uring6::test
