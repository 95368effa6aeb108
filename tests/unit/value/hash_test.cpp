// std::hash of the values: equal values have one hash, and each field counts.

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <set>
#include <unordered_set>
#include <vector>

#include "uring6/bpf.hpp"
#include "uring6/icmp.hpp"
#include "uring6/uring6.hpp"

namespace {

using namespace uring6;
using namespace std::chrono_literals;

const ip_address one_address = or_throw(ip_address::parse("2001:db8::1"));

/// The values differ from each other in one field.
template <class Value>
void check_all_differ(const std::vector<Value>& values) {
  std::set<std::size_t> hashes;
  for (const Value& each : values) {
    const Value copy = each;
    CHECK(std::hash<Value>{}(copy) == std::hash<Value>{}(each));
    hashes.insert(std::hash<Value>{}(each));
  }
  CHECK(hashes.size() == values.size());
}

TEST_CASE("each field of an address and of an endpoint counts in its hash") {
  check_all_differ<ip_address>({ip_address(), one_address, one_address.with_zone(2)});
  check_all_differ<endpoint>({{one_address, 1}, {one_address, 2}, {one_address.with_zone(2), 1}});
}

TEST_CASE("each field of a control message counts in its hash, and 0 differs from not given") {
  check_all_differ<control_message>({{},
                                     {.traffic_class = 0},
                                     {.hop_limit = 0},
                                     {.interface_index = 0},
                                     {.path_mtu = 0},
                                     {.source = ip_address()},
                                     {.destination = ip_address()},
                                     {.next_hop = ip_address()},
                                     {.received_at = std::chrono::sys_time<std::chrono::nanoseconds>()}});
}

TEST_CASE("each field of an IPv6 header and of a fragment header counts in its hash") {
  check_all_differ<ipv6_header>({{},
                                 {.version = 4},
                                 {.traffic_class = 1},
                                 {.flow_label = 1},
                                 {.payload_length = 1},
                                 {.next_header = ip_protocol::udp},
                                 {.hop_limit = 1},
                                 {.source = one_address},
                                 {.destination = one_address}});
  check_all_differ<fragment_header>({{}, {.offset = 8}, {.more = true}, {.identification = 1}});
}

TEST_CASE("each field of a kept datagram counts in its hash") {
  check_all_differ<kept_datagram>({{},
                                   {.payload = {std::byte{0}}},
                                   {.payload = {std::byte{1}, std::byte{2}}},
                                   {.payload = {std::byte{2}, std::byte{1}}},
                                   {.control = {.hop_limit = 0}},
                                   {.source = {one_address, 1}},
                                   {.truncated = true},
                                   {.control_truncated = true},
                                   {.full_length = 1}});
}

TEST_CASE("each field of an interface, its addresses and its groups counts in its hash") {
  check_all_differ<interface>({{},
                               {.index = 1},
                               {.name = "eth0"},
                               {.mtu = 1500},
                               {.flags = interface_flags::up},
                               {.hardware_address = {1, 2}},
                               {.hardware_address = {2, 1}}});
  check_all_differ<interface_address>({{},
                                       {.interface_index = 1},
                                       {.address = one_address},
                                       {.prefix_length = 64},
                                       {.scope = address_scope::link},
                                       {.flags = address_flags::permanent},
                                       {.valid = 0s},
                                       {.preferred = 0s}});
  check_all_differ<group_source>({{}, {.source = one_address}, {.included = 1}, {.excluded = 1}});
  check_all_differ<group_membership>(
      {{}, {.interface_index = 1}, {.group = one_address}, {.users = 1}, {.sources = {{.source = one_address}}}});
}

TEST_CASE("each field of a network's event, of a kept membership and of its sources counts in its hash") {
  const interface_name name{.text = {'e', 't', 'h', '0'}};
  check_all_differ<interface_name>({{}, name});
  check_all_differ<interface_event>({{},
                                     {.what = interface_change::up},
                                     {.interface_index = 1},
                                     {.name = name},
                                     {.previous_name = name},
                                     {.flags = interface_flags::up},
                                     {.mtu = 1280},
                                     {.address = one_address},
                                     {.prefix_length = 64},
                                     {.address_state = address_flags::permanent},
                                     {.gateway = one_address}});
  check_all_differ<source_filter>({{}, {.mode = filter_mode::include}, {.sources = {one_address}}});
  check_all_differ<kept_membership>(
      {{}, {.name = name}, {.interface_index = 1}, {.group = one_address}, {.joined = true}, {.error = errc::closed}});
}

TEST_CASE("each field of an event, of keep_alive, of a filter and of a name counts in its hash") {
  check_all_differ<path_mtu_event>({{}, {.mtu = 1280}, {.destination = one_address}});
  check_all_differ<signal_event>({{}, {.number = 1}, {.code = 1}, {.sender = 1}, {.user = 1}, {.value = 1}});
  check_all_differ<keep_alive>({{}, {.idle = 1s}, {.interval = 1s}, {.probes = 1}});
  icmp_filter first;
  first.block(icmp_type::echo_request);
  icmp_filter last;
  last.block(icmp_type{255});
  check_all_differ<icmp_filter>({icmp_filter(), first, last});
  check_all_differ<icmp::domain_name>(
      {or_throw(icmp::domain_name::parse("example.org")), or_throw(icmp::domain_name::parse("example.net"))});
}

TEST_CASE("each field of an instruction of BPF, and its type, counts in its hash") {
  using namespace uring6::bpf;
  check_all_differ<instruction>({load_constant{},
                                 load_constant{.dst = reg::x},
                                 load_constant{.value = 1},
                                 load_scratch{},
                                 load_scratch{.dst = reg::x},
                                 load_scratch{.slot = 1},
                                 load_absolute{},
                                 load_absolute{.offset = 1},
                                 load_absolute{.size = width::byte},
                                 load_indirect{},
                                 load_indirect{.offset = 1},
                                 load_indirect{.size = width::byte},
                                 load_mem_shift{},
                                 load_mem_shift{.offset = 1},
                                 load_extension{},
                                 load_extension{.num = extension::mark},
                                 store_scratch{},
                                 store_scratch{.src = reg::x},
                                 store_scratch{.slot = 1},
                                 alu_op_constant{},
                                 alu_op_constant{.op = alu_op::sub},
                                 alu_op_constant{.value = 1},
                                 alu_op_x{},
                                 alu_op_x{.op = alu_op::sub},
                                 negate_a{},
                                 jump{},
                                 jump{.skip = 1},
                                 jump_if{},
                                 jump_if{.test = jump_test::less_than},
                                 jump_if{.value = 1},
                                 jump_if{.skip_true = 1},
                                 jump_if{.skip_false = 1},
                                 jump_if_x{},
                                 jump_if_x{.test = jump_test::less_than},
                                 jump_if_x{.skip_true = 1},
                                 jump_if_x{.skip_false = 1},
                                 ret_a{},
                                 ret_constant{},
                                 ret_constant{.value = 1},
                                 txa{},
                                 tax{},
                                 raw_instruction{},
                                 raw_instruction{.op = 1},
                                 raw_instruction{.jt = 1},
                                 raw_instruction{.jf = 1},
                                 raw_instruction{.k = 1}});
  check_all_differ<jump_if>({{}, {.value = 1}});
}

TEST_CASE("values are the keys of a set: flags, numbers and errors, too") {
  const std::unordered_set<control_flags> flags{control_flags::source, control_flags::source};
  const std::unordered_set<ip_protocol> protocols{ip_protocol::udp, ip_protocol::tcp};
  const std::unordered_set<errc> errors{errc::closed};
  const std::unordered_set<endpoint> ends{{one_address, 1}, {one_address, 1}, {one_address, 2}};
  CHECK(flags.size() == 1);
  CHECK(protocols.size() == 2);
  CHECK(errors.contains(errc::closed));
  CHECK(ends.size() == 2);
}

}  // namespace
