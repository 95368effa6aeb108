#include "uring6/header.hpp"

#include <fmt/format.h>
#include <cassert>

#include "ipv6/value/codec_text.hpp"
#include "ipv6/value/wire.hpp"

namespace uring6::inline v0 {
namespace {

constexpr std::uint32_t max_flow_label = 0xfffff;

fragment_header read_fragment(wire::bytes bytes) noexcept {
  const std::uint16_t offset_and_flags = wire::load16(bytes, 2);
  return {.offset = static_cast<std::uint16_t>(offset_and_flags & 0xfff8),
          .more = (offset_and_flags & 1) != 0,
          .identification = wire::load32(bytes, 4)};
}

// The length of an extension header, in bytes, from its second byte.
std::size_t length_of(ip_protocol type, std::uint8_t length_field) noexcept {
  switch (type) {
    case ip_protocol::fragment:  // the second byte is reserved (RFC 8200, 4.5)
      return 8;
    case ip_protocol::ah:  // in units of 4 bytes, less 2 (RFC 4302, 2.2)
      return (std::size_t{length_field} + 2) * 4;
    default:  // in units of 8 bytes, without the first 8
      return (std::size_t{length_field} + 1) * 8;
  }
}

// The end of the packet: where its header says, or the end of the available bytes if that is earlier.
std::size_t end_of(const ipv6_header& fixed, std::size_t available) noexcept {
  assert(available >= ipv6_header::size && "the fixed header was parsed");
  const bool may_be_jumbogram = fixed.payload_length == 0 && fixed.next_header == ip_protocol::hop_by_hop;
  if (may_be_jumbogram) return available;
  return std::min(available, ipv6_header::size + fixed.payload_length);
}

}  // namespace

result<ipv6_header> ipv6_header::parse(std::span<const std::byte> packet) noexcept {
  wire::reader in(packet);
  const std::uint32_t first_word = in.u32();
  const ipv6_header parsed{.version = static_cast<std::uint8_t>(first_word >> 28),
                           .traffic_class = static_cast<std::uint8_t>(first_word >> 20 & 0xff),
                           .flow_label = first_word & max_flow_label,
                           .payload_length = in.u16(),
                           .next_header = static_cast<ip_protocol>(in.u8()),
                           .hop_limit = in.u8(),
                           .source = in.address(),
                           .destination = in.address()};
  if (!in.ok() || parsed.version != version_number) return fail(errc::malformed);
  return parsed;
}

result<std::size_t> ipv6_header::encode(std::span<std::byte> area) const noexcept {
  if (version != version_number || flow_label > max_flow_label) return fail(errc::out_of_range);
  if (area.size() < size) return fail(std::errc::no_buffer_space);
  wire::writer out(area);
  out.u32(std::uint32_t{version} << 28 | std::uint32_t{traffic_class} << 20 | flow_label);
  out.u16(payload_length);
  out.u8(static_cast<std::uint8_t>(next_header));
  out.u8(hop_limit);
  out.address(source);
  out.address(destination);
  assert(out.position() == size);
  return out.size();
}

std::string to_string(const ipv6_header& fixed) {
  return fmt::format("ver={} tclass={:#x} flowlbl={:#x} payloadlen={} nxthdr={} hoplim={} src={} dst={}", fixed.version,
                     fixed.traffic_class, fixed.flow_label, fixed.payload_length,
                     static_cast<unsigned>(fixed.next_header), fixed.hop_limit, packet_address_text(fixed.source),
                     packet_address_text(fixed.destination));
}

result<header_walk> header_walk::over(std::span<const std::byte> packet) noexcept {
  const auto fixed = ipv6_header::parse(packet);
  if (!fixed) return fail(fixed.error());
  return header_walk(packet.first(end_of(*fixed, packet.size())), fixed->next_header);
}

result<std::optional<extension_header>> header_walk::next() noexcept {
  if (!is_extension_header(protocol_) || (fragment_ && fragment_->offset != 0)) return std::nullopt;
  if (protocol_ == ip_protocol::hop_by_hop && offset_ != ipv6_header::size) return fail(errc::malformed);

  const std::span<const std::byte> left = payload();
  if (left.size() < 8) return fail(errc::malformed);
  const std::size_t length = length_of(protocol_, wire::load8(left, 1));
  if (length > left.size()) return fail(errc::malformed);

  const extension_header found{.type = protocol_,
                               .next_header = static_cast<ip_protocol>(wire::load8(left)),
                               .offset = offset_,
                               .bytes = left.first(length)};
  assert(length >= 8 && "every step of the walk goes forward");
  if (protocol_ == ip_protocol::fragment) fragment_ = read_fragment(found.bytes);
  protocol_ = found.next_header;
  offset_ += length;
  return found;
}

result<upper_layer> find_upper_layer(std::span<const std::byte> packet) noexcept {
  auto walk = header_walk::over(packet);
  if (!walk) return fail(walk.error());
  for (;;) {
    const auto step = walk->next();
    if (!step) return fail(step.error());
    if (!*step) break;
  }
  return upper_layer{walk->protocol(), walk->offset(), walk->payload(), walk->fragment()};
}

}  // namespace uring6::inline v0
