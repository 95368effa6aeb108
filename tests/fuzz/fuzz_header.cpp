// Any packet: its header is refused or encoded to the same bytes, and the walk over its extension headers ends inside
// of the packet.
#include <array>

#include "fuzz/fuzz.hpp"
#include "uring6/header.hpp"

using uring6::errc;
using uring6::ipv6_header;
using uring6::fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto packet = std::as_bytes(std::span(data, size));
  const auto fixed = ipv6_header::parse(packet);
  auto walk = uring6::header_walk::over(packet);
  check(fixed.has_value() == walk.has_value(), "a packet can be walked if its header can be read");
  if (!fixed) {
    check(fixed.error() == errc::malformed, "what is refused is malformed");
    return 0;
  }
  std::array<std::byte, ipv6_header::size> area{};
  check(fixed->encode(area) == ipv6_header::size, "what was read can be written");
  check(std::equal(area.begin(), area.end(), packet.begin()), "a header is written as it was");
  check(!to_string(*fixed).empty(), "a header prints");

  std::size_t offset = ipv6_header::size;
  while (true) {
    const auto next = walk->next();
    if (!next) {
      check(next.error() == errc::malformed, "what ends the walk early is malformed");
      check(uring6::find_upper_layer(packet).error() == errc::malformed, "both walks end alike");
      return 0;
    }
    if (!*next) break;
    check((*next)->offset == offset, "each header begins where the one before ends");
    check((*next)->bytes.data() == packet.data() + offset, "it is where it says");
    check((*next)->bytes.size() >= 8, "each step goes on");
    offset += (*next)->bytes.size();
    check(offset <= packet.size(), "no header leads out of the packet");
  }
  check(walk->offset() == offset, "the walk ends behind the last header");
  check(offset + walk->payload().size() <= packet.size(), "the payload is in the packet");
  const auto upper = uring6::find_upper_layer(packet);
  check(upper && upper->offset == offset && upper->protocol == walk->protocol(), "both walks end alike");
  return 0;
}
