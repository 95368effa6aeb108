// listen_tcp_group: one TCP listener for each loop of a group, all on one port, and a task for each connection.
#pragma once

#include "uring6/version.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "uring6/address.hpp"
#include "uring6/export.hpp"
#include "uring6/loop_group.hpp"
#include "uring6/result.hpp"
#include "uring6/task.hpp"
#include "uring6/tcp.hpp"

namespace uring6::inline v0 {

struct listen_tcp_group_options {
  /// Options of each listener and its connections; reuse_port is always on.
  tcp_options tcp{};
  /// How long a listener that stops waits for handshakes that have begun (`tcp_listener::stop_accepting`).
  std::chrono::milliseconds handshakes{300};
};

namespace detail {

/// Opens a listener for each loop, on the loop's thread; on an error it opens none.
URING6_EXPORT result<std::vector<std::shared_ptr<tcp_listener>>> open_tcp_group(loop_group& group,
                                                                                std::string_view network,
                                                                                std::string_view address,
                                                                                const tcp_options& options);

/// Hands each connection to `give` until a stop is requested; then stops accepting, hands over what is left, and closes
/// the listener.
URING6_EXPORT task<void> accept_in_group(std::shared_ptr<tcp_listener> listener, std::chrono::milliseconds handshakes,
                                         std::function<void(tcp_conn&&)> give);

}  // namespace detail

/// Opens a listener at `address` for each loop of the group (SO_REUSEPORT), and for each connection runs the task that
/// `serve(tcp_conn)` or `serve(tcp_conn, loop_place)` returns on the loop that accepted it. Each task keeps its own
/// copy of `serve`.
///
/// The listeners are the group's listeners, the connections are its work: `drain` stops the listeners first, which hand
/// over what the kernel has accepted and cut no connection (`tcp_listener::stop_accepting`), lets the connections go on
/// until its limit, and then stops them.
///
/// An error of accept that is not transient ends its listener alone. Returns the shared address, with the port that the
/// kernel or the caller chose. Errors: as `listen_tcp`; resource_deadlock_would_occur on a thread of the group;
/// `errc::closed` if the group has ended, drains, or is stopped.
template <class Serve>
requires detail::serves<Serve, tcp_conn> result<endpoint> listen_tcp_group(
    loop_group& group, std::string_view network, std::string_view address, Serve serve,
    const listen_tcp_group_options& options = {}) {
  auto opened = detail::open_tcp_group(group, network, address, options.tcp);
  if (!opened) return fail(opened);
  const auto where = opened->front()->local_endpoint();
  bool taken = true;
  for (std::size_t i = 0; i < opened->size(); ++i) {
    auto give = [&group, serve, here = loop_place{group[i], i}](tcp_conn&& accepted) {
      // Not taken: the group was stopped, and the connection closes.
      (void)group.spawn_on(here.index, [accepted = std::move(accepted), serve, here]() mutable {
        return detail::serve_at(serve, std::move(accepted), here);
      });
    };
    auto make = [listener = std::move((*opened)[i]), handshakes = options.handshakes,
                 give = std::move(give)]() mutable {
      return detail::accept_in_group(std::move(listener), handshakes, std::move(give));
    };
    taken = group.spawn_listener(i, std::move(make)) && taken;
  }
  if (!taken) return fail(errc::closed);
  return where;
}

}  // namespace uring6::inline v0
