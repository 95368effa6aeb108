// fmt formatters for datagrams, error reports, groups and events. uring6/format.hpp includes this header behind the
// formatters of addresses and control messages.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <iterator>
#include <string_view>
#include <utility>

#include "uring6/address.hpp"
#include "uring6/datagram.hpp"
#include "uring6/descriptor.hpp"
#include "uring6/error_report.hpp"
#include "uring6/format.hpp"
#include "uring6/header.hpp"
#include "uring6/interface.hpp"
#include "uring6/signals.hpp"
#include "uring6/tcp.hpp"

namespace uring6::format_detail {

/// The name of an enumerator; its number if it has no name.
template <class Enum, std::size_t N>
void write_name(Enum value, const std::array<std::pair<Enum, std::string_view>, N>& names, fmt::memory_buffer& out) {
  for (const auto& [each, name] : names) {
    if (each != value) continue;
    out.append(name.data(), name.data() + name.size());
    return;
  }
  fmt::format_to(std::back_inserter(out), "{}", static_cast<unsigned>(value));
}

inline void write_scope(multicast_scope scope, fmt::memory_buffer& out) {
  using named = std::pair<multicast_scope, std::string_view>;
  constexpr std::array<named, 7> names{{{multicast_scope::interface_local, "interface-local"},
                                        {multicast_scope::link_local, "link-local"},
                                        {multicast_scope::realm_local, "realm-local"},
                                        {multicast_scope::admin_local, "admin-local"},
                                        {multicast_scope::site_local, "site-local"},
                                        {multicast_scope::organization_local, "organization-local"},
                                        {multicast_scope::global, "global"}}};
  write_name(scope, names, out);
}

inline void write_address_scope(address_scope scope, fmt::memory_buffer& out) {
  using named = std::pair<address_scope, std::string_view>;
  constexpr std::array<named, 5> names{{{address_scope::global, "global"},
                                        {address_scope::site, "site"},
                                        {address_scope::link, "link"},
                                        {address_scope::host, "host"},
                                        {address_scope::nowhere, "nowhere"}}};
  write_name(scope, names, out);
}

inline void write_family(peer_family family, fmt::memory_buffer& out) {
  using named = std::pair<peer_family, std::string_view>;
  constexpr std::array<named, 2> names{{{peer_family::ipv6, "ipv6"}, {peer_family::ipv4, "ipv4"}}};
  write_name(family, names, out);
}

inline void write_half(stream_half half, fmt::memory_buffer& out) {
  using named = std::pair<stream_half, std::string_view>;
  constexpr std::array<named, 3> names{
      {{stream_half::read, "read"}, {stream_half::write, "write"}, {stream_half::both, "both"}}};
  write_name(half, names, out);
}

inline void write_origin(error_origin origin, fmt::memory_buffer& out) {
  using named = std::pair<error_origin, std::string_view>;
  constexpr std::array<named, 3> names{
      {{error_origin::local, "local"}, {error_origin::icmp, "icmp"}, {error_origin::icmp6, "icmp6"}}};
  write_name(origin, names, out);
}

inline void write_poll_events(poll_events events, fmt::memory_buffer& out) {
  using named = std::pair<poll_events, std::string_view>;
  constexpr std::array<named, 6> names{{{poll_events::readable, "readable"},
                                        {poll_events::urgent, "urgent"},
                                        {poll_events::writable, "writable"},
                                        {poll_events::error, "error"},
                                        {poll_events::hung_up, "hung_up"},
                                        {poll_events::peer_closed, "peer_closed"}}};
  auto rest = static_cast<std::uint32_t>(events);
  for (const auto& [flag, name] : names) {
    if (!has_any(events, flag)) continue;
    if (out.size() != 0) out.push_back('|');
    out.append(name.data(), name.data() + name.size());
    rest &= ~static_cast<std::uint32_t>(flag);
  }
  if (rest != 0) fmt::format_to(std::back_inserter(out), "{}{:#x}", out.size() == 0 ? "" : "|", rest);
  if (out.size() == 0) fmt::format_to(std::back_inserter(out), "none");
}

inline void write_signal(const signal_event& got, fmt::memory_buffer& out) {
  fmt::format_to(std::back_inserter(out), "signal {} code={} sender={} user={} value={}", got.number, got.code,
                 got.sender, got.user, got.value);
}

inline void write_keep_alive(const keep_alive& when, fmt::memory_buffer& out) {
  fmt::format_to(std::back_inserter(out), "after {}s each {}s probes={}", when.idle.count(), when.interval.count(),
                 when.probes);
}

inline void write_fragment(const fragment_header& of, fmt::memory_buffer& out) {
  fmt::format_to(std::back_inserter(out), "fragment id={:#x} offset={}{}", of.identification, of.offset,
                 of.more ? " more" : "");
}

inline void write_source(const group_source& of, fmt::memory_buffer& out) {
  fmt::format_to(std::back_inserter(out), "{} included={} excluded={}", of.source, of.included, of.excluded);
}

inline void write_membership(const group_membership& of, fmt::memory_buffer& out) {
  fmt::format_to(std::back_inserter(out), "{} ifindex={} users={}", of.group, of.interface_index, of.users);
  for (const group_source& each : of.sources) {
    fmt::format_to(std::back_inserter(out), " source ");
    write_source(each, out);
  }
}

inline void write_datagram(const datagram& got, fmt::memory_buffer& out) {
  fmt::format_to(std::back_inserter(out), "from {} octets={}", got.source, got.payload.size());
  if (got.truncated) fmt::format_to(std::back_inserter(out), " of {}", got.full_length);
  if (got.control != control_message()) fmt::format_to(std::back_inserter(out), " {}", got.control);
  if (got.control_truncated) fmt::format_to(std::back_inserter(out), " control_truncated");
}

inline void write_outgoing(const outgoing& one, fmt::memory_buffer& out) {
  fmt::format_to(std::back_inserter(out), "to {} octets={}", one.destination, one.payload.size());
  if (one.control != control_message()) fmt::format_to(std::back_inserter(out), " {}", one.control);
  if (one.error) fmt::format_to(std::back_inserter(out), ": {}", one.error.message());
}

inline void write_report(const error_report& told, fmt::memory_buffer& out) {
  fmt::format_to(std::back_inserter(out), "to {}: {} (", told.destination, told.error.message());
  write_origin(told.origin, out);
  if (told.origin != error_origin::local) {
    fmt::format_to(std::back_inserter(out), " type={} code={}", told.type, told.code);
  }
  if (told.info != 0) fmt::format_to(std::back_inserter(out), " info={}", told.info);
  if (told.offender) fmt::format_to(std::back_inserter(out), " from={}", *told.offender);
  fmt::format_to(std::back_inserter(out), ")");
}

}  // namespace uring6::format_detail

// The text that each one writes stands behind it. Absent parts (no control message, no offender, no error) are left
// out.
#define URING6_FORMATTER(type, write) \
  template <>                         \
  struct fmt::formatter<uring6::type> \
      : uring6::format_detail::by_appending<uring6::type, uring6::format_detail::write> {}

URING6_FORMATTER(multicast_scope, write_scope);        // "link-local"
URING6_FORMATTER(address_scope, write_address_scope);  // "global"
URING6_FORMATTER(peer_family, write_family);           // "ipv6"
URING6_FORMATTER(stream_half, write_half);             // "write"
URING6_FORMATTER(error_origin, write_origin);          // "icmp6"
URING6_FORMATTER(poll_events, write_poll_events);      // "readable|hung_up"
URING6_FORMATTER(signal_event, write_signal);          // "signal 15 code=0 sender=4242 user=0 value=0"
URING6_FORMATTER(keep_alive, write_keep_alive);        // "after 15s each 15s probes=9"
URING6_FORMATTER(fragment_header, write_fragment);     // "fragment id=0x7 offset=1448 more"
URING6_FORMATTER(group_source, write_source);          // "2001:db8::1 included=1 excluded=0"
URING6_FORMATTER(group_membership, write_membership);  // "ff02::114%eth0 ifindex=2 users=1 source ..."
URING6_FORMATTER(datagram, write_datagram);            // "from [::1]:53 octets=12 of 40 hoplim=64"
URING6_FORMATTER(outgoing, write_outgoing);            // "to [::1]:53 octets=12: Message too long"
URING6_FORMATTER(error_report, write_report);  // "to [::1]:9: Connection refused (icmp6 type=1 code=4 from=::1)"

#undef URING6_FORMATTER
