#include "uring6/listen_group.hpp"

#include <fmt/format.h>

#include <cassert>

#include "net/packet/network_word.hpp"
#include "net/socket/group_opening.hpp"
#include "sys/failure/failure_note.hpp"
#include "sys/socket/socket_options.hpp"
#include "uring6/bpf/program.hpp"

namespace uring6::inline v0 {
namespace {

result<std::vector<sock_filter>> steering_program(const loop_group& group, const listen_group_options& options) {
  bpf::program program = options.program;
  if (program.empty() && options.by == steering::cpu) program = steer_by_cpu(group);
  std::vector<sock_filter> filter;
  if (program.empty()) return filter;
  const auto raw = bpf::assemble(program);
  if (!raw) return fail(raw.error());
  if (const auto sound = bpf::check(*raw); !sound) return fail(sound.error());
  for (const bpf::raw_instruction& each : *raw) filter.push_back({each.op, each.jt, each.jf, each.k});
  return filter;
}

}  // namespace

bpf::program steer_by_cpu(const loop_group& group) {
  assert(group.size() > 0 && "the program divides by the number of loops");
  bpf::program program{bpf::load_extension{bpf::extension::cpu_id}};
  for (std::size_t i = 0; i < group.size(); ++i) {
    for (const int cpu : group.cpus(i)) {
      program.push_back(bpf::jump_if{.value = static_cast<std::uint32_t>(cpu), .skip_false = 1});
      program.push_back(bpf::ret_constant{static_cast<std::uint32_t>(i)});
    }
  }
  program.push_back(bpf::alu_op_constant{bpf::alu_op::mod, static_cast<std::uint32_t>(group.size())});
  program.push_back(bpf::ret_a{});
  return program;
}

namespace {

result<std::vector<std::shared_ptr<packet_conn>>> open_all(loop_group& group, std::string_view network,
                                                           std::string_view address,
                                                           const listen_group_options& options) {
  if (detail::runs_in(group)) return fail(std::errc::resource_deadlock_would_occur);
  const auto net = detail::parse_packet_network(network);
  if (!net) return fail(net.error());
  // The kernel gives each raw socket a copy of every packet, and an ICMPv6 identifier to one socket.
  if (net->kind != detail::packet_kind::udp) return fail(std::errc::operation_not_supported);
  const auto where = endpoint::parse(address);
  if (!where) return fail(where.error());
  const auto filter = steering_program(group, options);
  if (!filter) return fail(filter.error());
  packet_options each = options.packet;
  each.reuse_port = true;

  const auto listen = [&](event_loop& loop, const endpoint& at) { return listen_packet(loop, network, at, each); };
  // The program selects a socket by its place in the order of the binds.
  const auto attach = [&](packet_conn& first) -> result<void> {
    if (filter->empty()) return {};
    return set_option(first.native_handle(), option::attach_reuse_port_filter, std::span<const sock_filter>(*filter));
  };
  return detail::open_on_each<packet_conn>(group, *where, listen, attach);
}

}  // namespace

result<std::vector<std::shared_ptr<packet_conn>>> detail::open_group(loop_group& group, std::string_view network,
                                                                     std::string_view address,
                                                                     const listen_group_options& options) {
  return noted(open_all(group, network, address, options), "listen_group",
               [&] { return fmt::format("{} {}", network, address); });
}

}  // namespace uring6::inline v0
