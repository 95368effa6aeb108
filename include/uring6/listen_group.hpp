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

namespace uring6::inline v0 {

/// How the kernel chooses the socket that gets a datagram.
enum class steering : std::uint8_t {
  flow,  ///< By a hash of source and destination: each flow stays with one loop. The kernel's default.
  cpu,   ///< The loop of the CPU that handles the packet; other CPUs by their number. SO_ATTACH_REUSEPORT_CBPF
};

struct listen_group_options {
  /// Options of each socket; reuse_port is always on.
  packet_options packet{};
  steering by = steering::flow;
  /// Used instead of `by`: a program that returns the index of the loop. It sees the payload. A result beyond the
  /// number of loops means the kernel's default. SO_ATTACH_REUSEPORT_CBPF
  bpf::program program{};
};

namespace detail {

/// Opens a socket for each loop, on the loop's thread; on an error it opens none.
URING6_EXPORT result<std::vector<std::shared_ptr<packet_conn>>> open_group(loop_group& group, std::string_view network,
                                                                           std::string_view address,
                                                                           const listen_group_options& options);

}  // namespace detail

/// The program of `steering::cpu`.
URING6_EXPORT bpf::program steer_by_cpu(const loop_group& group);

/// Opens a conn at `address` for each loop of the group (SO_REUSEPORT), and runs the task that `serve(packet_conn)` or
/// `serve(packet_conn, loop_place)` returns on that loop. These tasks are the group's listeners: `drain` stops them
/// first. Each task keeps its own copy of `serve`.
///
/// With `drain_on_stop` a task leaves the port before it closes its conn, so that no datagram is lost that another
/// loop, or another process at the port, could answer.
///
/// UDP only, because each raw IP socket would get every packet. Returns the shared address, with the port that the
/// kernel or the caller chose.
///
/// Errors: as `listen_packet`; operation_not_supported for other networks; those of `bpf::check`;
/// resource_deadlock_would_occur on a thread of the group; `errc::closed` if the group has ended, drains, or is
/// stopped.
template <class Serve>
requires detail::serves<Serve, packet_conn> result<endpoint> listen_group(loop_group& group, std::string_view network,
                                                                          std::string_view address, Serve serve,
                                                                          const listen_group_options& options = {}) {
  auto opened = detail::open_group(group, network, address, options);
  if (!opened) return fail(opened);
  const auto where = opened->front()->local_endpoint();
  bool taken = true;
  for (std::size_t i = 0; i < opened->size(); ++i) {
    auto make = [mine = std::move((*opened)[i]), serve, here = loop_place{group[i], i}]() mutable {
      return detail::serve_at(serve, std::move(*mine), here);
    };
    taken = group.spawn_listener(i, std::move(make)) && taken;
  }
  if (!taken) return fail(errc::closed);
  return where;
}

}  // namespace uring6::inline v0
