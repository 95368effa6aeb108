#include "uring6/icmp/neighbor_discovery.hpp"

#include <limits>

#include "ipv6/icmp/icmp_codec.hpp"

namespace uring6::inline v0::icmp {

std::string_view to_string(router_preference preference) noexcept {
  switch (preference) {
    case router_preference::medium:
      return "medium";
    case router_preference::high:
      return "high";
    case router_preference::reserved:
      return "reserved";
    case router_preference::low:
      return "low";
  }
  return {};
}

namespace codec {
namespace {

constexpr unsigned managed_flag = 0x80, other_flag = 0x40, home_agent_flag = 0x20, proxy_flag = 0x04;
constexpr unsigned preference_shift = 3, preference_mask = 3;
constexpr std::uint32_t router_flag = 0x80000000, solicited_flag = 0x40000000, override_flag = 0x20000000;
constexpr std::int64_t max16 = std::numeric_limits<std::uint16_t>::max();
constexpr std::int64_t max32 = std::numeric_limits<std::uint32_t>::max();

// The target of a redirect is a neighbor: a router, by its link-local address, or the destination itself (RFC 4861, 8.1
// and 4.5).
bool leads_to_neighbor(const redirect& body) noexcept {
  return !body.destination.is_multicast() &&
         (body.target.is_link_local() || body.target.bytes() == body.destination.bytes());
}

// Adds the options to a body. A receiver must discard a message with a code other than 0, with options that do not end
// where the message ends, or (not `valid`) with addresses that are not allowed (RFC 4861, 6.1 and 7.1).
template <class Body>
result<Body> with_options(Body body, std::uint8_t code, wire::reader& in, bool valid = true) noexcept {
  if (!in.ok() || code != 0 || !valid) return fail(errc::malformed);
  const auto options = read_options(in.rest());
  if (!options) return fail(options.error());
  body.options = *options;
  return body;
}

}  // namespace

template <>
result<router_solicitation> read(std::uint8_t code, bytes rest) noexcept {
  wire::reader in(rest);
  in.skip(4);
  return with_options(router_solicitation{}, code, in);
}

result<void> write(wire::writer& out, const router_solicitation& body) noexcept {
  out.u32(0);
  return write_options(out, body.options);
}

template <>
result<router_advertisement> read(std::uint8_t code, bytes rest) noexcept {
  wire::reader in(rest);
  router_advertisement body{.hop_limit = in.u8()};
  const std::uint8_t flags = in.u8();
  body.managed = (flags & managed_flag) != 0;
  body.other = (flags & other_flag) != 0;
  body.home_agent = (flags & home_agent_flag) != 0;
  body.preference = static_cast<router_preference>(flags >> preference_shift & preference_mask);
  body.proxy = (flags & proxy_flag) != 0;
  body.lifetime = std::chrono::seconds(in.u16());
  body.reachable_time = std::chrono::milliseconds(in.u32());
  body.retransmit_timer = std::chrono::milliseconds(in.u32());
  return with_options(body, code, in);
}

result<void> write(wire::writer& out, const router_advertisement& body) noexcept {
  const auto preference = static_cast<unsigned>(body.preference);
  if (preference > preference_mask || !fits(body.lifetime, max16) || !fits(body.reachable_time, max32) ||
      !fits(body.retransmit_timer, max32))
    return fail(errc::out_of_range);
  out.u8(body.hop_limit);
  out.u8((body.managed ? managed_flag : 0) | (body.other ? other_flag : 0) | (body.home_agent ? home_agent_flag : 0) |
         preference << preference_shift | (body.proxy ? proxy_flag : 0));
  out.u16(static_cast<unsigned>(body.lifetime.count()));
  out.u32(static_cast<std::uint32_t>(body.reachable_time.count()));
  out.u32(static_cast<std::uint32_t>(body.retransmit_timer.count()));
  return write_options(out, body.options);
}

template <>
result<neighbor_solicitation> read(std::uint8_t code, bytes rest) noexcept {
  wire::reader in(rest);
  in.skip(4);
  const neighbor_solicitation body{.target = in.address()};
  return with_options(body, code, in, !body.target.is_multicast());
}

result<void> write(wire::writer& out, const neighbor_solicitation& body) noexcept {
  if (body.target.is_multicast()) return fail(errc::out_of_range);
  out.u32(0);
  out.address(body.target);
  return write_options(out, body.options);
}

template <>
result<neighbor_advertisement> read(std::uint8_t code, bytes rest) noexcept {
  wire::reader in(rest);
  const std::uint32_t flags = in.u32();
  const neighbor_advertisement body{.router = (flags & router_flag) != 0,
                                    .solicited = (flags & solicited_flag) != 0,
                                    .override_cache = (flags & override_flag) != 0,
                                    .target = in.address()};
  return with_options(body, code, in, !body.target.is_multicast());
}

result<void> write(wire::writer& out, const neighbor_advertisement& body) noexcept {
  if (body.target.is_multicast()) return fail(errc::out_of_range);
  out.u32((body.router ? router_flag : 0) | (body.solicited ? solicited_flag : 0) |
          (body.override_cache ? override_flag : 0));
  out.address(body.target);
  return write_options(out, body.options);
}

template <>
result<redirect> read(std::uint8_t code, bytes rest) noexcept {
  wire::reader in(rest);
  in.skip(4);
  const redirect body{.target = in.address(), .destination = in.address()};
  return with_options(body, code, in, leads_to_neighbor(body));
}

result<void> write(wire::writer& out, const redirect& body) noexcept {
  if (!leads_to_neighbor(body)) return fail(errc::out_of_range);
  out.u32(0);
  out.address(body.target);
  out.address(body.destination);
  return write_options(out, body.options);
}

}  // namespace codec
}  // namespace uring6::inline v0::icmp
