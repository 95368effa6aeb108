// Every public value is formatted by "{}".
#include <fmt/format.h>
#include <netinet/in.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "uring6/bpf.hpp"
#include "uring6/memory_link.hpp"
#include "uring6/uring6.hpp"

namespace {

using namespace uring6;

template <class... Values>
constexpr bool all_formattable = (fmt::is_formattable<Values>::value && ...);

endpoint end_of(const char* text) {
  return or_throw(endpoint::parse(text));
}

TEST_CASE("every public value has a formatter") {
  CHECK(all_formattable<ip_address, endpoint, multicast_scope, control_message, control_flags, peer_family>);
  CHECK(all_formattable<datagram, write_slot, error_report, error_origin, poll_events, signal_event, keep_alive>);
  CHECK(all_formattable<ipv6_header, fragment_header, ip_protocol, stream_half>);
  CHECK(all_formattable<interface, interface_address, group_membership, group_source, address_scope>);
  CHECK(all_formattable<interface_flags, address_flags, extension_header, upper_layer, read_slot, icmp_filter,
                        icmp_type>);
  CHECK(all_formattable<errc, resolve_errc, read_flags, write_flags, steering, loop_driver, loop_clock, probe_report>);
  CHECK(all_formattable<kept_datagram, released_packet, released_tcp, inherited_socket, path_mtu_event>);
  CHECK(all_formattable<resolve_options::family>);
  CHECK(all_formattable<loop_stats, pool_stats, packet_stats, tcp_stats, memory_link_stats>);
  CHECK(all_formattable<task_state, task_info, metrics_format, time_histogram, turn_times>);
  CHECK(all_formattable<interface_change, interface_name, interface_event, interface_monitor_stats>);
  CHECK(all_formattable<filter_mode, source_filter, kept_membership, group_keeper_stats>);
  CHECK(all_formattable<shared_datagram, when_behind, subscription_stats>);
}

TEST_CASE("every public value of ICMPv6 has a formatter") {
  using namespace icmp;
  CHECK(all_formattable<message, raw_body, unreachable_code, time_exceeded_code, parameter_problem_code>);
  CHECK(all_formattable<destination_unreachable, packet_too_big, time_exceeded, parameter_problem>);
  CHECK(all_formattable<extended_echo_request, extended_echo_reply, extended_echo_code, neighbor_state>);
  CHECK(all_formattable<extension, mpls_label, mpls_label_stack, interface_role, interface_info, interface_by_name,
                        interface_by_index, interface_by_address, interface_ident, raw_extension>);
  CHECK(all_formattable<version2_multicast_listener_query, version2_multicast_listener_report, record_type,
                        listener_record>);
  CHECK(all_formattable<router_solicitation, router_advertisement, router_preference, neighbor_solicitation,
                        neighbor_advertisement, redirect>);
  CHECK(all_formattable<option, option_type, prefix_information, redirected_header, link_mtu, recursive_dns_servers,
                        dns_search_list, raw_option, domain_name>);
}

TEST_CASE("every public value of BPF has a formatter") {
  CHECK(all_formattable<bpf::errc, bpf::reg, bpf::width, bpf::alu_op, bpf::jump_test, bpf::extension>);
  CHECK(all_formattable<bpf::instruction, bpf::raw_instruction, bpf::packet_metadata>);
  CHECK(all_formattable<bpf::load_constant, bpf::load_scratch, bpf::load_absolute, bpf::load_indirect,
                        bpf::load_mem_shift, bpf::load_extension, bpf::store_scratch>);
  CHECK(all_formattable<bpf::alu_op_constant, bpf::alu_op_x, bpf::negate_a, bpf::jump, bpf::jump_if, bpf::jump_if_x>);
  CHECK(all_formattable<bpf::ret_a, bpf::ret_constant, bpf::txa, bpf::tax>);
}

TEST_CASE("a message of ICMPv6 has the text of its body") {
  const icmp::message_body body = icmp::echo_request{.identifier = 1, .sequence = 2};
  const icmp::message whole{.type = icmp_type::echo_request, .body = body};
  CHECK(to_string(whole) == to_string(body));
  CHECK(fmt::format("{}", whole) == to_string(body));
}

TEST_CASE("an error condition is its message") {
  CHECK(fmt::format("{}", errc::closed) == make_error_code(errc::closed).message());
  CHECK(fmt::format("{}", resolve_errc::not_found) == make_error_code(resolve_errc::not_found).message());
  CHECK(fmt::format("{}", bpf::errc::no_return) == make_error_code(bpf::errc::no_return).message());
}

TEST_CASE("headers of a packet say what they are, where, how long, and what follows") {
  const std::array<std::byte, 12> octets{};
  const extension_header routing{
      .type = ip_protocol::routing, .next_header = ip_protocol::udp, .offset = 40, .bytes = std::span(octets).first(8)};
  CHECK(fmt::format("{}", routing) == "ipv6-route at 40 octets=8 next=udp");
  upper_layer above{.protocol = ip_protocol::udp, .offset = 48, .payload = octets, .fragment = {}};
  CHECK(fmt::format("{}", above) == "udp at 48 octets=12");
  above.fragment = fragment_header{.offset = 0, .more = true, .identification = 7};
  CHECK(fmt::format("{}", above) == "udp at 48 octets=12 fragment id=0x7 offset=0 more");
}

TEST_CASE("a filter names the types of its smaller part") {
  icmp_filter filter;
  CHECK(fmt::format("{}", filter) == "accepts all");
  filter.block(icmp_type::echo_request);
  filter.block(icmp_type::echo_reply);
  CHECK(fmt::format("{}", filter) == fmt::format("blocks {}, {}", icmp_type::echo_request, icmp_type::echo_reply));
  filter.set_all(true);
  CHECK(fmt::format("{}", filter) == "accepts none");
  filter.accept(icmp_type::router_advertisement);
  CHECK(fmt::format("{}", filter) == fmt::format("accepts {}", icmp_type::router_advertisement));
}

TEST_CASE("what is kept, handed over or made room for is one line") {
  std::array<std::byte, 12> octets{};
  const datagram got{.payload = octets, .source = end_of("[::1]:53"), .full_length = 12};
  const read_slot one{.buffer = octets, .received = got};
  CHECK(fmt::format("{}", one) == "room=12 from [::1]:53 octets=12");
  kept_datagram kept{.payload = {octets.begin(), octets.end()}, .control = {}, .source = end_of("[::1]:53")};
  CHECK(fmt::format("{}", kept) == "from [::1]:53 octets=12");
  kept.truncated = true;
  kept.full_length = 40;
  CHECK(fmt::format("{}", kept) == "from [::1]:53 octets=12 of 40");
  released_packet packet{.fd = 7, .datagrams = {kept, kept}, .kernel_drops = 3};
  CHECK(fmt::format("{}", packet) == "fd=7 datagrams=2 kernel_drops=3");
  packet.peer = end_of("[::1]:9");
  CHECK(fmt::format("{}", packet) == "fd=7 datagrams=2 kernel_drops=3 peer=[::1]:9");
  released_tcp stream{.fd = 7, .unread = std::vector<std::byte>(8)};
  CHECK(fmt::format("{}", stream) == "fd=7 unread=8");
  stream.error = std::error_code(ECONNRESET, std::system_category());
  stream.peer = end_of("[::1]:9");
  CHECK(fmt::format("{}", stream) == "fd=7 unread=8 peer=[::1]:9: Connection reset by peer");
}

TEST_CASE("flags, choices and parts of BPF and ICMPv6 are words") {
  CHECK(fmt::format("{}", read_flags::dont_wait) == "dont_wait");
  CHECK(fmt::format("{}", write_flags::none) == "none");
  CHECK(fmt::format("{}", steering::cpu) == "cpu");
  CHECK(fmt::format("{}", loop_driver::readiness) == "readiness");
  CHECK(fmt::format("{}", loop_clock::simulated) == "simulated");
  CHECK(fmt::format("{}", task_state::ready) == "ready");
  CHECK(fmt::format("{}", metrics_format::prometheus) == "prometheus");
  CHECK(fmt::format("{}", resolve_options::family::v6) == "v6");
  CHECK(fmt::format("{}", inherited_socket{.fd = 3, .name = "dns"}) == "fd=3 dns");
  CHECK(fmt::format("{}", path_mtu_event{.mtu = 1280, .destination = ip_address::loopback()}) == "mtu=1280 to ::1");
  CHECK(fmt::format("{}", bpf::reg::x) == "x");
  CHECK(fmt::format("{}", bpf::width::half) == "half");
  CHECK(fmt::format("{}", bpf::alu_op::shift_left) == "shift_left");
  CHECK(fmt::format("{}", bpf::jump_test::less_or_equal) == "less_or_equal");
  CHECK(fmt::format("{}", bpf::extension::cpu_id) == "cpu_id");
  CHECK(fmt::format("{}", static_cast<bpf::extension>(200)) == "200");
  CHECK(fmt::format("{}", icmp::option_type::pref64) == "pref64");
  CHECK(fmt::format("{}", icmp::interface_role::next_hop) == "next_hop");
  CHECK(fmt::format("{}", icmp::interface_by_name{"eth0"}) == "interface name=eth0");
  CHECK(fmt::format("{}", icmp::interface_by_index{2}) == "interface ifindex=2");
  const std::array address{std::byte{0xfe}, std::byte{0x80}};
  CHECK(fmt::format("{}", icmp::interface_by_address{2, address}) == "interface family=2 addr=fe:80");
  CHECK(fmt::format("{}", icmp::mpls_label{.label = 16, .bottom_of_stack = true, .ttl = 64}) ==
        "label=16 tc=0 ttl=64 bottom");
  bpf::packet_metadata of{.interface_index = 2, .cpu_id = 1};
  CHECK(fmt::format("{}", of) ==
        "protocol=0x86dd type=0 ifindex=2 mark=0x0 queue=0 hatype=0 rxhash=0x0 cpu=1 payload=0 random=0x0");
  of.vlan_tag_present = true;
  of.vlan_tag = 0x10;
  CHECK(fmt::format("{:}", of).ends_with(" vlan=0x10 vlan_protocol=0x0"));
}

TEST_CASE("an error report prints its error, its cause and its sender") {
  error_report told;
  told.error = std::error_code(ECONNREFUSED, std::system_category());
  told.origin = error_origin::icmp6;
  told.type = 1;
  told.code = 4;
  told.offender = ip_address::loopback();
  told.destination = end_of("[::1]:9");
  CHECK(fmt::format("{}", told) == "to [::1]:9: Connection refused (icmp6 type=1 code=4 from=::1)");
  told = {};
  told.error = std::error_code(EMSGSIZE, std::system_category());
  told.origin = error_origin::local;
  told.info = 1280;
  told.destination = end_of("[2001:db8::2]:9");
  CHECK(fmt::format("{}", told) == "to [2001:db8::2]:9: Message too long (local info=1280)");
}

TEST_CASE("a datagram prints its source, its length, the octets that were cut off, and its control message") {
  std::array<std::byte, 12> octets{};
  datagram got{.payload = octets, .source = end_of("[::1]:53"), .full_length = 12};
  CHECK(fmt::format("{}", got) == "from [::1]:53 octets=12");
  got.truncated = true;
  got.full_length = 40;
  got.control.hop_limit = 64;
  CHECK(fmt::format("{}", got) == "from [::1]:53 octets=12 of 40 hoplim=64");
  write_slot one{.payload = octets, .destination = end_of("[::1]:53")};
  CHECK(fmt::format("{}", one) == "to [::1]:53 octets=12");
  one.error = std::error_code(EMSGSIZE, std::system_category());
  CHECK(fmt::format("{}", one) == "to [::1]:53 octets=12: Message too long");
  one.segment = 5;
  CHECK(fmt::format("{}", one) == "to [::1]:53 octets=12 segment=5: Message too long");
}

TEST_CASE("enumerators and flags print as names, numbers without a name as numbers") {
  CHECK(fmt::format("{}", multicast_scope::link_local) == "link-local");
  CHECK(fmt::format("{}", static_cast<multicast_scope>(6)) == "6");
  CHECK(fmt::format("{}", address_scope::link) == "link");
  CHECK(fmt::format("{:>6}", peer_family::ipv4) == "  ipv4");
  CHECK(fmt::format("{}", stream_half::both) == "both");
  CHECK(fmt::format("{}", poll_events::readable | poll_events::hung_up) == "readable|hung_up");
  CHECK(fmt::format("{}", poll_events::none) == "none");
}

TEST_CASE("events, groups and fragments print in one line") {
  CHECK(fmt::format("{}", signal_event{.number = 15, .sender = 4242}) == "signal 15 code=0 sender=4242 user=0 value=0");
  CHECK(fmt::format("{}", keep_alive()) == "after 15s each 15s probes=9");
  CHECK(fmt::format("{}", fragment_header{.offset = 1448, .more = true, .identification = 7}) ==
        "fragment id=0x7 offset=1448 more");
  const group_membership joined{.interface_index = 7,
                                .group = or_throw(ip_address::parse("ff05::114")),
                                .users = 1,
                                .sources = {{or_throw(ip_address::parse("2001:db8::1")), 1, 0}}};
  CHECK(fmt::format("{}", joined) == "ff05::114 ifindex=7 users=1 source 2001:db8::1 included=1 excluded=0");
}

TEST_CASE("what happens to a network, and what is kept of memberships, prints in one line") {
  const auto name = [](std::string_view text) {
    interface_name placed;
    text.copy(placed.text.data(), text.size());
    return placed;
  };
  const ip_address address = or_throw(ip_address::parse("2001:db8::1"));
  interface_event event{.what = interface_change::renamed,
                        .interface_index = 2,
                        .name = name("eth1"),
                        .previous_name = name("eth0"),
                        .mtu = 1500};
  CHECK(fmt::format("{}", event) == "renamed eth1 (was eth0) ifindex=2");
  event.what = interface_change::mtu;
  CHECK(fmt::format("{}", event) == "mtu eth1 ifindex=2 mtu=1500");
  event.what = interface_change::address_usable;
  event.address = address;
  event.prefix_length = 64;
  event.address_state = address_flags::permanent;
  CHECK(fmt::format("{}", event) == "address_usable eth1 ifindex=2 2001:db8::1/64 permanent");
  CHECK(fmt::format("{}",
                    interface_event{
                        .what = interface_change::route_added, .mtu = 1280, .prefix_length = 32, .gateway = address}) ==
        "route_added mtu=1280 ::/32 via 2001:db8::1");
  CHECK(fmt::format("{}", interface_event{}) == "synchronized");
  CHECK(fmt::format("{:>6}", name("eth0")) == "  eth0");

  CHECK(fmt::format("{}", source_filter{}) == "exclude none");
  CHECK(fmt::format("{}", source_filter{.mode = filter_mode::include, .sources = {address, address}}) ==
        "include 2001:db8::1, 2001:db8::1");
  kept_membership kept{.name = name("eth0"), .group = or_throw(ip_address::parse("ff02::114"))};
  CHECK(fmt::format("{}", kept) == "ff02::114 on eth0 absent");
  kept.interface_index = 2;
  kept.error = std::make_error_code(std::errc::not_enough_memory);
  CHECK(fmt::format("{}", kept) == "ff02::114 on eth0 ifindex=2 refused: Cannot allocate memory");
  kept.joined = true;
  CHECK(fmt::format("{}", kept) == "ff02::114 on eth0 ifindex=2 joined");
}

}  // namespace
