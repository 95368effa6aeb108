// Any control bytes: nothing is read outside of them, and the decoded fields are in range and can be sent again.
#include <array>
#include <vector>

#include "fuzz/fuzz.hpp"
#include "ipv6/value/cmsg.hpp"
#include "uring6/control_message.hpp"

using uring6::control_message;
using uring6::fuzz::check;

namespace {

uring6::received_control dirty() {
  const auto address = uring6::ip_address::all_nodes();
  uring6::received_control stale;
  stale.message = {.traffic_class = 1,
                   .hop_limit = 2,
                   .interface_index = 3,
                   .path_mtu = 4,
                   .source = address,
                   .destination = address,
                   .next_hop = address,
                   .received_at = std::chrono::sys_time<std::chrono::nanoseconds>(std::chrono::nanoseconds(6))};
  stale.gro_segment_size = 5;
  return stale;
}

void check_resend(const control_message& read) {
  control_message again = read;
  // The address shows the family; without one, either family accepts the fields.
  const auto peer = uring6::family_of(read.destination.value_or(uring6::ip_address::any()));
  again.source = read.destination;
  if (peer == uring6::peer_family::ipv4 && again.hop_limit == 0) again.hop_limit = 1;
  std::array<std::byte, uring6::cmsg::max_encoded_size> area;
  check(uring6::cmsg::encode(again, area, peer).has_value(), "what was decoded can be encoded");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> area(reinterpret_cast<const std::byte*>(data), size);

  uring6::received_control received = dirty();
  const bool well_formed = uring6::decode_received(area, received);
  const control_message& message = received.message;
  check(received.gro_segment_size <= 0xffff, "a segment fits a datagram");
  check(message.traffic_class.value_or(0) >= 0 && message.traffic_class.value_or(0) <= 255, "traffic class");
  check(message.hop_limit.value_or(0) >= 0 && message.hop_limit.value_or(0) <= 255, "hop limit");
  check(message.interface_index.value_or(1) - 1 < 0x7fffffff, "an interface index is positive");
  check(!message.source && !message.next_hop, "these never arrive in control bytes");
  check(!message.received_at || message.received_at->time_since_epoch().count() >= 0, "a time since the epoch");
  check(!message.destination || message.destination->zone() == 0, "a destination has no zone");
  check_resend(message);

  check(uring6::cmsg::decode_prefix(area) == message, "decode_prefix reads the same");
  const auto strict = uring6::cmsg::decode(area);
  check(strict.has_value() == well_formed, "decode refuses what is malformed, and only that");
  check(!strict || *strict == message, "decode reads the same");

  std::vector<std::byte> moved(1);
  moved.insert(moved.end(), area.begin(), area.end());
  check(uring6::cmsg::decode_prefix(std::span<const std::byte>(moved).subspan(1)) == message, "alignment is no matter");
  return 0;
}
