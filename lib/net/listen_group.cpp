#include "uring6/listen_group.hpp"

#include <future>
#include <string>

#include "runtime/loop_core.hpp"
#include "sys/socket_options.hpp"
#include "uring6/bpf/program.hpp"

namespace uring6 {
namespace {

/// Calls `f` on a loop's thread and waits for what it gives; `errc::closed` if that thread has ended.
template <class F>
auto call_on(const loop_group& group, std::size_t index, F f) -> decltype(f()) {
  auto answer = std::make_shared<std::promise<decltype(f())>>();
  auto given = answer->get_future();
  group.post(index, [answer = std::move(answer), &f] { answer->set_value(f()); });
  try {
    return given.get();
  } catch (const std::future_error&) {
    return fail(errc::closed);  // destroyed unrun
  }
}

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

result<std::vector<std::shared_ptr<packet_conn>>> detail::open_group(loop_group& group, std::string_view network,
                                                                     std::string_view address,
                                                                     const listen_group_options& options) {
  for (std::size_t i = 0; i < group.size(); ++i) {
    if (group[i].core()->runs_here()) return fail(std::errc::resource_deadlock_would_occur);
  }
  const auto filter = steering_program(group, options);
  if (!filter) return fail(filter.error());
  packet_options each = options.packet;
  each.reuse_port = true;

  std::vector<std::shared_ptr<packet_conn>> opened;
  std::error_code error;
  std::string where(address);
  // One after the other: their order is the index by which a program steers.
  for (std::size_t i = 0; i < group.size() && !error; ++i) {
    const auto open = [&]() -> result<std::shared_ptr<packet_conn>> {
      return listen_packet(group[i], network, where, each).map([](packet_conn&& pc) {
        return std::make_shared<packet_conn>(std::move(pc));
      });
    };
    auto one = call_on(group, i, open);
    if (one) {
      opened.push_back(std::move(*one));
      if (i == 0) {
        const auto chosen = opened.front()->local_endpoint();
        if (!chosen) {
          error = chosen.error();
        } else {
          where = chosen->to_string();
        }
        if (!error && !filter->empty()) {
          const auto attached = set_option(opened.front()->native_handle(), option::attach_reuse_port_filter,
                                           std::span<const sock_filter>(*filter));
          if (!attached) error = attached.error();
        }
      }
    } else {
      error = one.error();
    }
  }
  if (!error) return opened;
  for (std::size_t i = 0; i < opened.size(); ++i) {
    const auto close = [&]() -> result<void> { return opened[i]->close(); };
    (void)call_on(group, i, close);
  }
  return fail(error);
}

}  // namespace uring6
