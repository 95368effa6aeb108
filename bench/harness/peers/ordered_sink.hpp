// Sockets of many peers, each of which has to get the same packets in the same order.
#pragma once

#include <cstdint>
#include <vector>

#include "common/payload.hpp"
#include "common/socket.hpp"

namespace bench {

/// Keeps all packets, trains whole, until `empty` reads them and checks the order of each socket's.
class ordered_sink {
 public:
  explicit ordered_sink(std::size_t peers);

  std::vector<std::uint16_t> ports() const;

  /// Reads all packets that wait. Each socket must get the packets in the order of their numbers, without a gap; a
  /// packet out of this order counts as bad.
  void empty();

  const tally& seen() const noexcept { return seen_; }

 private:
  struct peer {
    descriptor fd;
    std::uint64_t next;  // the number of the packet that comes next
  };

  std::vector<peer> sockets_;
  std::vector<std::byte> room_ = std::vector<std::byte>(65'535);
  tally seen_;
};

}  // namespace bench
