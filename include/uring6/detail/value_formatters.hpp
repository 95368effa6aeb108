// fmt formatters for datagrams, error reports, groups and events. uring6/format.hpp includes this header behind the
// formatters of addresses and control messages.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "uring6/address.hpp"
#include "uring6/bpf/vm.hpp"
#include "uring6/datagram.hpp"
#include "uring6/descriptor.hpp"
#include "uring6/error_report.hpp"
#include "uring6/format.hpp"
#include "uring6/header.hpp"
#include "uring6/interface.hpp"
#include "uring6/listen_group.hpp"
#include "uring6/released_packet.hpp"
#include "uring6/resolve.hpp"
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

inline void write_read_flags(read_flags value, fmt::memory_buffer& out) {
  using named = std::pair<read_flags, std::string_view>;
  constexpr std::array<named, 2> names{{{read_flags::none, "none"}, {read_flags::dont_wait, "dont_wait"}}};
  write_name(value, names, out);
}

inline void write_write_flags(uring6::write_flags value, fmt::memory_buffer& out) {
  using named = std::pair<uring6::write_flags, std::string_view>;
  constexpr std::array<named, 2> names{
      {{uring6::write_flags::none, "none"}, {uring6::write_flags::dont_wait, "dont_wait"}}};
  write_name(value, names, out);
}

inline void write_steering(steering value, fmt::memory_buffer& out) {
  using named = std::pair<steering, std::string_view>;
  constexpr std::array<named, 2> names{{{steering::flow, "flow"}, {steering::cpu, "cpu"}}};
  write_name(value, names, out);
}

inline void write_register(bpf::reg value, fmt::memory_buffer& out) {
  using named = std::pair<bpf::reg, std::string_view>;
  constexpr std::array<named, 2> names{{{bpf::reg::a, "a"}, {bpf::reg::x, "x"}}};
  write_name(value, names, out);
}

inline void write_width(bpf::width value, fmt::memory_buffer& out) {
  using named = std::pair<bpf::width, std::string_view>;
  constexpr std::array<named, 3> names{
      {{bpf::width::byte, "byte"}, {bpf::width::half, "half"}, {bpf::width::word, "word"}}};
  write_name(value, names, out);
}

inline void write_alu_op(bpf::alu_op value, fmt::memory_buffer& out) {
  using named = std::pair<bpf::alu_op, std::string_view>;
  constexpr std::array<named, 10> names{{{bpf::alu_op::add, "add"},
                                         {bpf::alu_op::sub, "sub"},
                                         {bpf::alu_op::mul, "mul"},
                                         {bpf::alu_op::div, "div"},
                                         {bpf::alu_op::bit_or, "bit_or"},
                                         {bpf::alu_op::bit_and, "bit_and"},
                                         {bpf::alu_op::shift_left, "shift_left"},
                                         {bpf::alu_op::shift_right, "shift_right"},
                                         {bpf::alu_op::mod, "mod"},
                                         {bpf::alu_op::bit_xor, "bit_xor"}}};
  write_name(value, names, out);
}

inline void write_jump_test(bpf::jump_test value, fmt::memory_buffer& out) {
  using named = std::pair<bpf::jump_test, std::string_view>;
  constexpr std::array<named, 8> names{{{bpf::jump_test::equal, "equal"},
                                        {bpf::jump_test::not_equal, "not_equal"},
                                        {bpf::jump_test::greater_than, "greater_than"},
                                        {bpf::jump_test::less_than, "less_than"},
                                        {bpf::jump_test::greater_or_equal, "greater_or_equal"},
                                        {bpf::jump_test::less_or_equal, "less_or_equal"},
                                        {bpf::jump_test::bits_set, "bits_set"},
                                        {bpf::jump_test::bits_not_set, "bits_not_set"}}};
  write_name(value, names, out);
}

inline void write_extension(bpf::extension value, fmt::memory_buffer& out) {
  using named = std::pair<bpf::extension, std::string_view>;
  constexpr std::array<named, 16> names{{{bpf::extension::protocol, "protocol"},
                                         {bpf::extension::length, "length"},
                                         {bpf::extension::type, "type"},
                                         {bpf::extension::interface_index, "interface_index"},
                                         {bpf::extension::netlink_attr, "netlink_attr"},
                                         {bpf::extension::netlink_attr_nested, "netlink_attr_nested"},
                                         {bpf::extension::mark, "mark"},
                                         {bpf::extension::queue, "queue"},
                                         {bpf::extension::link_layer_type, "link_layer_type"},
                                         {bpf::extension::rx_hash, "rx_hash"},
                                         {bpf::extension::cpu_id, "cpu_id"},
                                         {bpf::extension::vlan_tag, "vlan_tag"},
                                         {bpf::extension::vlan_tag_present, "vlan_tag_present"},
                                         {bpf::extension::payload_offset, "payload_offset"},
                                         {bpf::extension::random, "random"},
                                         {bpf::extension::vlan_protocol, "vlan_protocol"}}};
  write_name(value, names, out);
}

inline void write_option_type(icmp::option_type value, fmt::memory_buffer& out) {
  using named = std::pair<icmp::option_type, std::string_view>;
  constexpr std::array<named, 12> names{{{icmp::option_type::source_link_layer_address, "source_link_layer_address"},
                                         {icmp::option_type::target_link_layer_address, "target_link_layer_address"},
                                         {icmp::option_type::prefix_information, "prefix_information"},
                                         {icmp::option_type::redirected_header, "redirected_header"},
                                         {icmp::option_type::mtu, "mtu"},
                                         {icmp::option_type::nonce, "nonce"},
                                         {icmp::option_type::route_information, "route_information"},
                                         {icmp::option_type::recursive_dns_servers, "recursive_dns_servers"},
                                         {icmp::option_type::flags_extension, "flags_extension"},
                                         {icmp::option_type::dns_search_list, "dns_search_list"},
                                         {icmp::option_type::captive_portal, "captive_portal"},
                                         {icmp::option_type::pref64, "pref64"}}};
  write_name(value, names, out);
}

/// As `icmp::interface_ident` is written, whose hostile octets are escaped.
template <class By>
void write_ident_by(const By& by, fmt::memory_buffer& out) {
  fmt::format_to(std::back_inserter(out), "{}", icmp::interface_ident{by});
}

inline void write_role(icmp::interface_role value, fmt::memory_buffer& out) {
  using named = std::pair<icmp::interface_role, std::string_view>;
  constexpr std::array<named, 4> names{{{icmp::interface_role::incoming, "incoming"},
                                        {icmp::interface_role::incoming_sub_ip, "incoming_sub_ip"},
                                        {icmp::interface_role::outgoing, "outgoing"},
                                        {icmp::interface_role::next_hop, "next_hop"}}};
  write_name(value, names, out);
}

template <class Code>
void write_code(Code code, fmt::memory_buffer& out) {
  const std::string text = make_error_code(code).message();
  out.append(text.data(), text.data() + text.size());
}

inline void write_label(const icmp::mpls_label& of, fmt::memory_buffer& out) {
  fmt::format_to(std::back_inserter(out), "label={} tc={} ttl={}{}", of.label, of.traffic_class, of.ttl,
                 of.bottom_of_stack ? " bottom" : "");
}

inline void write_metadata(const bpf::packet_metadata& of, fmt::memory_buffer& out) {
  fmt::format_to(std::back_inserter(out), "protocol={:#x} type={} ifindex={} mark={:#x} queue={} hatype={}",
                 of.protocol, of.type, of.interface_index, of.mark, of.queue, of.link_layer_type);
  fmt::format_to(std::back_inserter(out), " rxhash={:#x} cpu={} payload={} random={:#x}", of.rx_hash, of.cpu_id,
                 of.payload_offset, of.random);
  if (!of.vlan_tag_present) return;
  fmt::format_to(std::back_inserter(out), " vlan={:#x} vlan_protocol={:#x}", of.vlan_tag, of.vlan_protocol);
}

// Names the types of the smaller part: those that are let through, or those that are kept away.
inline void write_filter(const icmp_filter& filter, fmt::memory_buffer& out) {
  constexpr unsigned types = 256;
  unsigned blocked = 0;
  for (unsigned type = 0; type < types; ++type) blocked += filter.will_block(static_cast<icmp_type>(type));
  const bool tells_blocked = blocked <= types / 2;
  fmt::format_to(std::back_inserter(out), "{}", tells_blocked && blocked > 0 ? "blocks" : "accepts");
  if (blocked == 0 || blocked == types) {
    fmt::format_to(std::back_inserter(out), " {}", blocked == 0 ? "all" : "none");
    return;
  }
  std::string_view before = " ";
  for (unsigned type = 0; type < types; ++type) {
    if (filter.will_block(static_cast<icmp_type>(type)) != tells_blocked) continue;
    fmt::format_to(std::back_inserter(out), "{}{}", before, static_cast<icmp_type>(type));
    before = ", ";
  }
}

inline void write_extension_header(const extension_header& of, fmt::memory_buffer& out) {
  fmt::format_to(std::back_inserter(out), "{} at {} octets={} next={}", of.type, of.offset, of.bytes.size(),
                 of.next_header);
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

inline void write_upper_layer(const upper_layer& of, fmt::memory_buffer& out) {
  fmt::format_to(std::back_inserter(out), "{} at {} octets={}", of.protocol, of.offset, of.payload.size());
  if (!of.fragment) return;
  fmt::format_to(std::back_inserter(out), " ");
  write_fragment(*of.fragment, out);
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

inline void write_incoming(const incoming& one, fmt::memory_buffer& out) {
  fmt::format_to(std::back_inserter(out), "room={} ", one.buffer.size());
  write_datagram(one.received, out);
}

inline void write_kept(const kept_datagram& kept, fmt::memory_buffer& out) {
  fmt::format_to(std::back_inserter(out), "from {} octets={}", kept.source, kept.payload.size());
  if (kept.truncated) fmt::format_to(std::back_inserter(out), " of {}", kept.full_length);
  if (kept.control != control_message()) fmt::format_to(std::back_inserter(out), " {}", kept.control);
  if (kept.control_truncated) fmt::format_to(std::back_inserter(out), " control_truncated");
}

inline void write_released_packet(const released_packet& of, fmt::memory_buffer& out) {
  fmt::format_to(std::back_inserter(out), "fd={} datagrams={} kernel_drops={}", of.fd, of.datagrams.size(),
                 of.kernel_drops);
  if (of.peer) fmt::format_to(std::back_inserter(out), " peer={}", *of.peer);
}

inline void write_released_tcp(const released_tcp& of, fmt::memory_buffer& out) {
  fmt::format_to(std::back_inserter(out), "fd={} unread={}", of.fd, of.unread.size());
  if (of.error) fmt::format_to(std::back_inserter(out), ": {}", of.error.message());
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
URING6_FORMATTER(incoming, write_incoming);    // "room=1500 from [::1]:53 octets=12"
URING6_FORMATTER(kept_datagram, write_kept);   // as datagram
URING6_FORMATTER(released_packet, write_released_packet);    // "fd=7 datagrams=2 kernel_drops=0 peer=[::1]:53"
URING6_FORMATTER(released_tcp, write_released_tcp);          // "fd=7 unread=8: Connection reset by peer"
URING6_FORMATTER(extension_header, write_extension_header);  // "ipv6-route at 40 octets=8 next=udp"
URING6_FORMATTER(upper_layer, write_upper_layer);            // "udp at 48 octets=12 fragment id=0x7 offset=0 more"
URING6_FORMATTER(icmp_filter, write_filter);                 // "accepts all", "blocks echo request, echo reply"
URING6_FORMATTER(read_flags, write_read_flags);              // "dont_wait"
URING6_FORMATTER(write_flags, write_write_flags);            // "dont_wait"
URING6_FORMATTER(steering, write_steering);                  // "cpu"
URING6_FORMATTER(errc, write_code<uring6::errc>);            // the message: "the connection is closed"
URING6_FORMATTER(resolve_errc, write_code<uring6::resolve_errc>);
URING6_FORMATTER(bpf::errc, write_code<uring6::bpf::errc>);
URING6_FORMATTER(bpf::reg, write_register);              // "a"
URING6_FORMATTER(bpf::width, write_width);               // "half"
URING6_FORMATTER(bpf::alu_op, write_alu_op);             // "shift_left"
URING6_FORMATTER(bpf::jump_test, write_jump_test);       // "less_than"
URING6_FORMATTER(bpf::extension, write_extension);       // "cpu_id"
URING6_FORMATTER(bpf::packet_metadata, write_metadata);  // "protocol=0x86dd type=0 ifindex=2 ..."
URING6_FORMATTER(icmp::option_type, write_option_type);  // "prefix_information"
URING6_FORMATTER(icmp::interface_role, write_role);      // "next_hop"
URING6_FORMATTER(icmp::interface_by_name, write_ident_by<uring6::icmp::interface_by_name>);    // "interface name=eth0"
URING6_FORMATTER(icmp::interface_by_index, write_ident_by<uring6::icmp::interface_by_index>);  // "interface ifindex=2"
URING6_FORMATTER(icmp::interface_by_address,
                 write_ident_by<uring6::icmp::interface_by_address>);  // "interface family=2 addr=…"
URING6_FORMATTER(icmp::mpls_label, write_label);                       // "label=16 tc=0 ttl=64 bottom"

#undef URING6_FORMATTER
