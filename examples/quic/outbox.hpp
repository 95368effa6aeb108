// outbox: the packets that leave together, with one write_batch.
//
// ngtcp2 writes packet after packet into one piece of memory. Packets of equal length on one path with one ECN field
// become one write_slot with a `segment`, which leaves as one train: no packet is copied, and the kernel is called
// once.
#pragma once

#include <netinet/in.h>
#include <ngtcp2/ngtcp2.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <uring6/uring6.hpp>
#include <vector>

namespace quic {

namespace u6 = uring6;

class outbox {
 public:
  /// The longest packet, octets: the largest size that ngtcp2's search for the path MTU tries.
  static constexpr std::size_t longest_packet = NGTCP2_MAX_PMTUD_UDP_PAYLOAD_SIZE;

  /// Memory for the next packet; empty if there is no room for one.
  std::span<std::uint8_t> room() {
    if (memory_.size() - used_ < longest_packet) return {};
    return std::span(memory_).subspan(used_, longest_packet);
  }
  /// The packet in `room()` has this length, and goes along this path. `ecn`: 0 to 3.
  void add(std::size_t length, const ngtcp2_path& along, std::uint32_t ecn);

  std::span<u6::write_slot> slots() { return slots_; }
  bool empty() const { return slots_.empty(); }
  /// Once the slots have been written.
  void clear();

 private:
  bool joins_last(std::size_t length, const ngtcp2_path& along, std::uint32_t ecn) const;

  // The longest train that the kernel takes: 45 packets of 1,452 octets. More memory would not lie in the processor's
  // first caches when the kernel copies it.
  std::array<std::uint8_t, u6::max_udp_payload> memory_;
  std::size_t used_ = 0;
  std::vector<u6::write_slot> slots_;
  // of the last slot
  sockaddr_in6 local_{};
  sockaddr_in6 remote_{};
  std::uint32_t ecn_ = 0;
  bool complete_ = true;  // its last packet is shorter than the others
};

}  // namespace quic
