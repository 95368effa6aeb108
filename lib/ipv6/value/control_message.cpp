#include "uring6/control_message.hpp"

#include <bit>
#include <cassert>
#include <limits>

#include "ipv6/value/cmsg.hpp"

namespace uring6::inline v0 {
namespace {

constexpr bool in_range(const std::optional<int>& value, int least) noexcept {
  return !value || (*value >= least && *value <= 255);
}

// Refuses, with a specific error, the values that the kernel would refuse with EINVAL or ignore.
std::error_code reason_to_refuse(const control_message& message, peer_family peer) noexcept {
  const bool ipv4 = peer == peer_family::ipv4;
  if (message.next_hop) return std::make_error_code(std::errc::not_supported);
  if (!in_range(message.traffic_class, 0)) return errc::out_of_range;
  // The IPv4 path refuses a TTL of 0; the IPv6 path sends a hop limit of 0 to this host.
  if (!in_range(message.hop_limit, ipv4 ? 1 : 0)) return errc::out_of_range;
  if (message.interface_index.value_or(0) > std::numeric_limits<std::int32_t>::max()) return errc::out_of_range;
  if (message.source) {
    const ip_address& source = *message.source;
    if (source.is_v4_mapped() != ipv4 && source.with_zone(0) != ip_address::any()) {
      return std::make_error_code(std::errc::address_family_not_supported);
    }
    if (source.zone() > std::numeric_limits<std::int32_t>::max()) return errc::out_of_range;
    if (source.zone() != 0 && message.interface_index.value_or(source.zone()) != source.zone()) {
      return errc::zone_mismatch;
    }
  }
  return {};
}

std::uint32_t interface_of(const control_message& message) noexcept {
  if (message.interface_index) return *message.interface_index;
  return message.source ? message.source->zone() : 0;
}

in6_pktinfo pktinfo_of(const control_message& message) noexcept {
  in6_pktinfo info{};
  if (message.source) info.ipi6_addr = std::bit_cast<in6_addr>(message.source->bytes());
  info.ipi6_ifindex = interface_of(message);
  return info;
}

in_pktinfo v4_pktinfo_of(const control_message& message) noexcept {
  in_pktinfo info{};
  if (message.source) {
    const auto source = message.source->to_v4().value_or(ip_address::v4_bytes_type{});
    info.ipi_spec_dst = std::bit_cast<in_addr>(source);
  }
  info.ipi_ifindex = static_cast<int>(interface_of(message));
  return info;
}

}  // namespace

result<std::size_t> cmsg::encode(const control_message& message, std::span<std::byte> area, peer_family peer) noexcept {
  if (const std::error_code reason = reason_to_refuse(message, peer)) return fail(reason);
  if (area.size() < cmsg::encoded_size(message, peer)) return fail(std::errc::no_buffer_space);
  const bool ipv4 = peer == peer_family::ipv4;
  cmsg_writer writer(area);
  if (message.traffic_class) {
    writer.append(ipv4 ? IPPROTO_IP : IPPROTO_IPV6, ipv4 ? IP_TOS : IPV6_TCLASS, *message.traffic_class);
  }
  if (message.hop_limit) {
    writer.append(ipv4 ? IPPROTO_IP : IPPROTO_IPV6, ipv4 ? IP_TTL : IPV6_HOPLIMIT, *message.hop_limit);
  }
  if (message.source || message.interface_index) {
    if (ipv4) {
      writer.append(IPPROTO_IP, IP_PKTINFO, v4_pktinfo_of(message));
    } else {
      writer.append(IPPROTO_IPV6, IPV6_PKTINFO, pktinfo_of(message));
    }
  }
  assert(writer.size() == cmsg::encoded_size(message, peer) && "every field was appended");
  return writer.size();
}

result<control_message> cmsg::decode(std::span<const std::byte> area) noexcept {
  received_control all;
  if (!decode_received(area, all)) return fail(errc::malformed);
  return all.message;
}

control_message cmsg::decode_prefix(std::span<const std::byte> area) noexcept {
  received_control all;
  decode_received(area, all);
  return all.message;
}

}  // namespace uring6::inline v0
