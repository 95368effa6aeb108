// listen_group: one socket for each loop of a group, all on one port.
#pragma once

#include "uring6/version.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "uring6/address.hpp"
#include "uring6/bpf/instruction.hpp"
#include "uring6/export.hpp"
#include "uring6/listen.hpp"
#include "uring6/loop_group.hpp"
#include "uring6/packet_conn.hpp"
#include "uring6/result.hpp"

namespace uring6 {

/// Which of the sockets gets a datagram.
enum class steering : std::uint8_t {
  flow,  ///< By a hash of the two ends: each flow stays with one loop. The kernel's default.
  cpu,   ///< The loop whose CPU the kernel handles it on; another CPU's by number. SO_ATTACH_REUSEPORT_CBPF
};

struct listen_group_options {
  /// Of each socket; reuse_port is on.
  packet_options packet{};
  steering by = steering::flow;
  /// Instead of `by`: a program that returns the index of the loop. It sees the payload; a result beyond the
  /// number of loops means the default. SO_ATTACH_REUSEPORT_CBPF
  bpf::program program{};
};

namespace detail {

/// A socket for each loop, opened on its thread; on an error none.
[[nodiscard]] URING6_EXPORT result<std::vector<std::shared_ptr<packet_conn>>> open_group(
    loop_group& group, std::string_view network, std::string_view address, const listen_group_options& options);

}  // namespace detail

/// The program behind `steering::cpu`.
URING6_EXPORT bpf::program steer_by_cpu(const loop_group& group);

/// Opens a conn at `address` for each loop of the group (SO_REUSEPORT) and runs `serve(packet_conn)`, which
/// gives a task, with each, on its loop. These tasks are the group's listeners: they are stopped when it
/// drains. `serve` is kept as long as the tasks, one copy for each.
///
/// UDP only: of raw IP each socket would get every packet. Returns the address that they share, with the port that was
/// chosen. Errors: as `listen_packet`; operation_not_supported of other networks; those of
/// `bpf::check`; resource_deadlock_would_occur on a thread of the group, `errc::closed` if the group has
/// ended, drains, or is stopped.
template <class Serve>
requires std::invocable<Serve&, packet_conn> result<endpoint> listen_group(loop_group& group, std::string_view network,
                                                                           std::string_view address, Serve serve,
                                                                           const listen_group_options& options = {}) {
  auto opened = detail::open_group(group, network, address, options);
  if (!opened) return fail(opened.error());
  const auto where = opened->front()->local_endpoint();
  bool taken = true;
  for (std::size_t i = 0; i < opened->size(); ++i) {
    auto make = [conn = std::move((*opened)[i]), serve]() mutable { return serve(std::move(*conn)); };
    taken = group.listen_on(i, std::move(make)) && taken;
  }
  if (!taken) return fail(errc::closed);
  return where;
}

}  // namespace uring6
