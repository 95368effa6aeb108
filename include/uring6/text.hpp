// The text of each value, made by the library: `to_string`. uring6/format.hpp makes fmt formatters of these functions.
//
// Parts that are absent (no control message, no offender, no error) are left out. An enumerator is its name, or its
// number if it has none. Flags are names joined by "|"; bits without a name are one hexadecimal number at the end; no
// flag is "none". All functions may be called on any thread, and throw std::bad_alloc.
#pragma once

#include "uring6/version.hpp"

#include <cstdint>
#include <string>

#include "uring6/export.hpp"

namespace uring6::inline v0 {

class ip_address;
class icmp_filter;
class shared_datagram;
struct control_message;
struct datagram;
struct endpoint;
struct error_report;
struct extension_header;
struct fragment_header;
struct group_membership;
struct group_source;
struct inherited_socket;
struct interface_event;
struct interface_name;
struct keep_alive;
struct kept_datagram;
struct kept_membership;
struct path_mtu_event;
struct read_slot;
struct released_packet;
struct released_tcp;
struct signal_event;
struct source_filter;
struct upper_layer;
struct write_slot;
enum class address_scope : std::uint8_t;
enum class control_flags : std::uint32_t;
enum class errc;
enum class error_origin : std::uint8_t;
enum class filter_mode : std::uint8_t;
enum class interface_change : std::uint8_t;
enum class loop_clock : std::uint8_t;
enum class loop_driver : std::uint8_t;
enum class multicast_scope : std::uint8_t;
enum class peer_family : std::uint8_t;
enum class poll_events : std::uint32_t;
enum class read_flags : std::uint8_t;
enum class resolve_errc;
enum class steering : std::uint8_t;
enum class stream_half : std::uint8_t;
enum class when_behind : std::uint8_t;
enum class write_flags : std::uint8_t;

// --- addresses and headers ---

/// RFC 5952: `ip_address::to_string`.
URING6_EXPORT std::string to_string(const ip_address& address);
/// "[2001:db8::1]:53": `endpoint::to_string`.
URING6_EXPORT std::string to_string(const endpoint& end);
/// "link-local"
URING6_EXPORT std::string to_string(multicast_scope scope);
/// "global"
URING6_EXPORT std::string to_string(address_scope scope);
/// "ipv6"
URING6_EXPORT std::string to_string(peer_family family);
/// "fragment id=0x7 offset=1448 more"
URING6_EXPORT std::string to_string(const fragment_header& of);
/// "ipv6-route at 40 octets=8 next=udp"
URING6_EXPORT std::string to_string(const extension_header& of);
/// "udp at 48 octets=12 fragment id=0x7 offset=0 more"
URING6_EXPORT std::string to_string(const upper_layer& of);
/// "accepts all", "blocks echo request, echo reply": the shorter list of the two.
URING6_EXPORT std::string to_string(const icmp_filter& filter);

// --- control messages and datagrams ---

/// "traffic_class|hop_limit"
URING6_EXPORT std::string to_string(control_flags flags);
/// The fields that are set, in Go's order: "tclass=0x28 hoplim=64 src=::1 dst=ff01::114 ifindex=2", and the time of
/// arrival in seconds since 1970: "time=1700000000.000000001". "none" without a field.
URING6_EXPORT std::string to_string(const control_message& message);
/// "from [::1]:53 octets=12 of 40 hoplim=64"
URING6_EXPORT std::string to_string(const datagram& got);
URING6_EXPORT std::string to_string(const shared_datagram& got);
/// "room=1500 from [::1]:53 octets=12"
URING6_EXPORT std::string to_string(const read_slot& one);
/// "to [::1]:53 octets=12: Message too long"
URING6_EXPORT std::string to_string(const write_slot& one);
/// As a datagram.
URING6_EXPORT std::string to_string(const kept_datagram& kept);
/// "fd=7 datagrams=2 kernel_drops=0 peer=[::1]:53"
URING6_EXPORT std::string to_string(const released_packet& of);
/// "to [::1]:9: Connection refused (icmp6 type=1 code=4 from=::1)"
URING6_EXPORT std::string to_string(const error_report& told);
/// "icmp6"
URING6_EXPORT std::string to_string(error_origin origin);
/// "mtu=1280 to 2001:db8::1"
URING6_EXPORT std::string to_string(const path_mtu_event& news);
/// "dont_wait"
URING6_EXPORT std::string to_string(read_flags flags);
URING6_EXPORT std::string to_string(write_flags flags);
/// "cpu"
URING6_EXPORT std::string to_string(steering value);
/// "io_uring"
URING6_EXPORT std::string to_string(loop_driver value);
/// "simulated"
URING6_EXPORT std::string to_string(loop_clock value);

// --- groups, connections, events ---

/// "2001:db8::1 included=1 excluded=0"
URING6_EXPORT std::string to_string(const group_source& of);
/// "ff02::114%eth0 ifindex=2 users=1 source …"
URING6_EXPORT std::string to_string(const group_membership& of);
/// "after 15s each 15s probes=9"
URING6_EXPORT std::string to_string(const keep_alive& when);
/// "fd=7 unread=8: Connection reset by peer"
URING6_EXPORT std::string to_string(const released_tcp& of);
/// "write"
URING6_EXPORT std::string to_string(stream_half half);
/// "fd=3 dns"
URING6_EXPORT std::string to_string(const inherited_socket& of);
/// "readable|hung_up"
URING6_EXPORT std::string to_string(poll_events events);
/// "signal 15 code=0 sender=4242 user=0 value=0"
URING6_EXPORT std::string to_string(const signal_event& got);

// --- errors: their messages ---

/// "the connection is closed"
URING6_EXPORT std::string to_string(errc code);
URING6_EXPORT std::string to_string(resolve_errc code);

namespace bpf {

struct packet_metadata;
enum class alu_op : std::uint8_t;
enum class errc;
enum class extension : std::uint8_t;
enum class jump_test : std::uint8_t;
enum class reg : std::uint8_t;
enum class width : std::uint8_t;

/// "a"
URING6_EXPORT std::string to_string(reg value);
/// "half"
URING6_EXPORT std::string to_string(width value);
/// "shift_left"
URING6_EXPORT std::string to_string(alu_op value);
/// "less_than"
URING6_EXPORT std::string to_string(jump_test value);
/// "cpu_id"
URING6_EXPORT std::string to_string(extension value);
/// "protocol=0x86dd type=0 ifindex=2 …"
URING6_EXPORT std::string to_string(const packet_metadata& of);
/// The message.
URING6_EXPORT std::string to_string(errc code);

}  // namespace bpf

namespace icmp {

struct interface_by_address;
struct interface_by_index;
struct interface_by_name;
struct mpls_label;
enum class interface_role : std::uint8_t;
enum class option_type : std::uint8_t;

/// "prefix_information"
URING6_EXPORT std::string to_string(option_type value);
/// "next_hop"
URING6_EXPORT std::string to_string(interface_role value);
/// As `interface_ident`, whose octets from the network are escaped: "interface name=eth0".
URING6_EXPORT std::string to_string(const interface_by_name& by);
/// "interface ifindex=2"
URING6_EXPORT std::string to_string(const interface_by_index& by);
/// "interface family=2 addr=fe:80"
URING6_EXPORT std::string to_string(const interface_by_address& by);
/// "label=16 tc=0 ttl=64 bottom"
URING6_EXPORT std::string to_string(const mpls_label& of);

}  // namespace icmp
}  // namespace uring6::inline v0
