// Any control message into a buffer of any size: refused for the right reason, or decoded to the same fields.
#include <algorithm>
#include <limits>
#include <vector>

#include "fuzz/fuzz.hpp"
#include "uring6/control_message.hpp"

using uring6::control_message;
using uring6::errc;
using uring6::ip_address;
using uring6::peer_family;
using uring6::fuzz::check;

namespace {

ip_address take_address(uring6::fuzz::input& in, std::uint8_t kind) {
  const auto zone = kind & 1 ? in.take<std::uint32_t>() : 0;
  if (kind & 2) return ip_address::v4_mapped(in.take<ip_address::v4_bytes_type>()).with_zone(zone);
  return ip_address(in.take<ip_address::bytes_type>(), zone);
}

control_message take_message(uring6::fuzz::input& in) {
  control_message message;
  const auto given = in.take<std::uint8_t>();
  const auto kinds = in.take<std::uint8_t>();
  // Signed bytes and whole ints: values on both sides of both limits are likely.
  if (given & 1) message.traffic_class = kinds & 4 ? in.take<int>() : in.take<std::int16_t>();
  if (given & 2) message.hop_limit = kinds & 8 ? in.take<int>() : in.take<std::int16_t>();
  if (given & 4) message.interface_index = in.take<std::uint32_t>();
  if (given & 8) message.path_mtu = in.take<std::uint32_t>();
  if (given & 16) message.source = take_address(in, kinds);
  if (given & 32) message.destination = take_address(in, kinds >> 4);
  if (given & 64) message.next_hop = take_address(in, kinds >> 6);
  if (given & 128) message.received_at.emplace(std::chrono::nanoseconds(in.take<std::int64_t>()));
  return message;
}

bool octet(const std::optional<int>& value, int least) {
  return !value || (*value >= least && *value <= 255);
}

// The documented reasons, written a second time in other words.
bool sendable(const control_message& m, peer_family peer) {
  constexpr std::uint32_t most = std::numeric_limits<std::int32_t>::max();
  if (m.next_hop || !octet(m.traffic_class, 0) || !octet(m.hop_limit, peer == peer_family::ipv4)) return false;
  if (m.interface_index > most) return false;
  if (!m.source) return true;
  const std::uint32_t zone = m.source->zone();
  if (zone > most || (zone != 0 && m.interface_index && *m.interface_index != zone)) return false;
  return m.source->with_zone(0) == ip_address::any() || uring6::family_of(*m.source) == peer;
}

void check_read_back(const control_message& sent, std::span<const std::byte> written, peer_family peer) {
  const auto read = uring6::cmsg::decode(written);
  check(read.has_value(), "what was encoded is well-formed");
  check(read->traffic_class == sent.traffic_class, "traffic class");
  check(read->hop_limit == sent.hop_limit, "hop limit");
  check(!read->path_mtu && !read->source && !read->next_hop && !read->received_at, "nothing else");
  const std::uint32_t zone = sent.source ? sent.source->zone() : 0;
  check(read->interface_index.value_or(0) == sent.interface_index.value_or(zone), "interface");
  if (peer == peer_family::ipv6 && sent.source) {
    check(read->destination == sent.source->with_zone(0), "source");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  uring6::fuzz::input in({reinterpret_cast<const std::byte*>(data), size});
  const auto room = in.take<std::uint8_t>();
  const peer_family peer = in.take<std::uint8_t>() & 1 ? peer_family::ipv4 : peer_family::ipv6;
  const control_message message = take_message(in);

  constexpr std::byte untouched{0xa5};
  std::vector<std::byte> area(room, untouched);
  const auto written = uring6::cmsg::encode(message, area, peer);
  const std::size_t needed = uring6::cmsg::encoded_size(message, peer);
  check(needed <= uring6::cmsg::max_encoded_size, "max_encoded_size is enough");
  check(written.has_value() == (sendable(message, peer) && room >= needed), "refused exactly when it must be");
  if (!written) {
    check((written.error() == std::errc::no_buffer_space) == sendable(message, peer), "the reason is the right one");
  } else {
    check(*written == needed, "encoded_size says what encode writes");
    check_read_back(message, std::span(area).first(needed), peer);
  }
  const auto rest = area.begin() + static_cast<std::ptrdiff_t>(written.value_or(0));
  check(std::all_of(rest, area.end(), [](std::byte b) { return b == untouched; }), "the rest is left alone");
  return 0;
}
