// A program that names one or two members of each public struct, and leaves the rest to its defaults. The compiler
// warns of a member without a default (-Wextra has -Wmissing-field-initializers). headers.sh compiles it, and looks
// here for each struct that the headers define.
#include <uring6/bpf.hpp>
#include <uring6/checksum.hpp>
#include <uring6/icmp.hpp>
#include <uring6/memory_link.hpp>
#include <uring6/uring6.hpp>

#include <array>
#include <cstddef>

namespace {

using namespace uring6;

template <class... Values>
void use(const Values&...) {}

void options() {
  using namespace std::chrono_literals;
  use(loop_options{.budget = 16}, loop_group_options{.loops = 2}, listen_group_options{.by = steering::cpu},
      listen_tcp_group_options{.handshakes = std::chrono::milliseconds(100)});
  use(packet_options{.reuse_port = true}, tcp_options{.backlog = 10}, keep_alive{.idle = 3s});
  use(interface_monitor_options{.routes = true}, interface_monitor_stats{.events = 1}, group_keeper_stats{.joins = 1});
  use(subscription_options{.buffers = 32}, subscription_stats{.missed = 1});
  use(resolve_options{.numeric_only = true}, memory_link_options{.loss = 0.5}, memory_link_stats{.lost = 1});
}

[[maybe_unused]] void places(event_loop& loop) {
  use(loop_place{.loop = loop, .index = 1});
}

void values() {
  std::array<std::byte, 16> octets{};
  use(endpoint{.port = 53}, control_message{.hop_limit = 64}, control_message{.received_at = {}});
  use(datagram{.truncated = true}, datagram{.payload = octets}, write_slot{.payload = octets});
  use(write_slot{.destination = {}}, read_slot{.buffer = octets}, kept_datagram{.truncated = true});
  use(released_packet{.fd = 3}, released_tcp{.fd = 3}, inherited_socket{.fd = 3}, error_report{.buffer = octets},
      path_mtu_event{.mtu = 1280});
  use(ipv6_header{.hop_limit = 1}, extension_header{.offset = 40}, fragment_header{.more = true});
  use(upper_layer{.offset = 40}, signal_event{.number = 15}, probe_report{.ring = true});
  use(interface{.index = 1}, interface_address{.prefix_length = 64}, group_source{.included = 1});
  use(interface_event{.mtu = 1280}, interface_name{.text = {}}, source_filter{.sources = {}});
  use(kept_membership{.joined = true});
  use(group_membership{.users = 1}, loop_stats{.enters = 1}, pool_stats{.buffers = 1}, packet_stats{.rearms = 1});
  use(tcp_stats{.sent_bytes = 1}, named_counter<tcp_stats>{.name = "sent_bytes"}, task_info{.depth = 1});
  use(time_histogram{.total_ns = 1}, turn_times{.took = {}}, metric_label{.name = "loop"});
}

void messages() {
  using namespace icmp;
  const std::array<std::byte, 8> octets{};
  use(raw_body{.code = 1}, message{.code = 1}, destination_unreachable{.data = octets}, packet_too_big{.mtu = 1280});
  use(time_exceeded{.data = octets}, parameter_problem{.pointer = 8}, echo_request{.sequence = 1});
  use(echo<icmp_type::echo_reply>{.sequence = 1}, extended_echo_request{.sequence = 1});
  use(extended_echo_reply{.active = true}, mpls_label{.label = 16}, mpls_label_stack{.labels = {}});
  use(interface_info{.index = 1}, interface_by_name{.name = "eth0"}, interface_by_index{.index = 1});
  use(interface_by_address{.family = 2}, interface_ident{.by = {}}, raw_extension{.type = 1});
  use(version1_multicast_listener<icmp_type::multicast_listener_done>{.group = {}});
  use(version2_multicast_listener_query{.robustness = 2}, listener_record{.group = {}});
  use(version2_multicast_listener_report{.records = {}}, router_solicitation{.options = {}});
  use(router_advertisement{.hop_limit = 64}, neighbor_solicitation{.target = {}},
      neighbor_advertisement{.router = true});
  use(redirect{.target = {}}, link_layer_address<option_type::source_link_layer_address>{.address = octets});
  use(prefix_information{.prefix_length = 64}, redirected_header{.data = octets}, link_mtu{.mtu = 1500});
  use(recursive_dns_servers{.servers = {}}, dns_search_list{.domains = {}}, raw_option{.data = octets});
}

void programs() {
  using namespace bpf;
  use(disassembly{.all_decoded = false}, packet_metadata{.mark = 1}, raw_instruction{.op = 6},
      load_constant{.value = 1});
  use(load_scratch{.slot = 1}, load_absolute{.offset = 1}, load_indirect{.offset = 1}, load_mem_shift{.offset = 1});
  use(load_extension{.num = extension::cpu_id}, store_scratch{.slot = 1}, alu_op_constant{.value = 1});
  use(alu_op_x{.op = alu_op::sub}, negate_a{}, jump{.skip = 1}, jump_if{.value = 1}, jump_if_x{.skip_true = 1});
  use(ret_a{}, ret_constant{.value = 1}, txa{}, tax{});
}

}  // namespace

int main() {
  options();
  values();
  messages();
  programs();
}
