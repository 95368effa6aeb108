// drain_on_stop: lets a service answer all that has arrived when it is stopped.
#pragma once

#include "uring6/version.hpp"

#include <chrono>
#include <utility>

#include "uring6/export.hpp"
#include "uring6/packet_conn.hpp"
#include "uring6/task.hpp"
#include "uring6/tcp.hpp"
#include "uring6/timer.hpp"

namespace uring6::inline v0 {

namespace detail {

URING6_EXPORT task<void> drain_packets(packet_conn& from, clock::duration limit, task<void> serving);
URING6_EXPORT task<void> drain_connections(tcp_listener& from, clock::duration limit, task<void> serving);

}  // namespace detail

/// Awaits `serving`, a task that reads from `from` until a read ends with an error that is not transient. A stop
/// request does not interrupt it: it stops the conn from receiving (`packet_conn::stop_receiving`). So `serving`
/// finishes the answer that it is at, gets what has arrived, then `errc::closed`, and may say goodbye. When `limit` has
/// passed since the stop, its operations end with `errc::canceled` (`shield`).
///
///     task<> answer(packet_conn& pc);  // reads and writes until a read ends, then says goodbye
///
///     task<> serve(packet_conn pc) {
///       co_await drain_on_stop(pc, 2s, answer(pc));
///     }
///
/// If the conn cannot stop receiving, the stop reaches `serving` at once. Exceptions of `serving` come through; without
/// memory for the wait or the stop, `serving` is stopped, and std::bad_alloc is thrown when it has ended. The conn
/// outlives the task. A task that reads and answers outside of this may lose the datagram that it has read,
/// because its write ends with `errc::canceled`.
template <class Rep, class Period>
[[nodiscard("co_await it")]] task<void> drain_on_stop(packet_conn& from, std::chrono::duration<Rep, Period> limit,
                                                      task<void> serving) {
  return detail::drain_packets(from, detail::saturated(limit), std::move(serving));
}

/// The same for a task that accepts connections until an accept ends: `tcp_listener::stop_accepting` with its default
/// time for handshakes. Connections that the task has spawned end by other means (their scope, `loop_group::drain`).
template <class Rep, class Period>
[[nodiscard("co_await it")]] task<void> drain_on_stop(tcp_listener& from, std::chrono::duration<Rep, Period> limit,
                                                      task<void> serving) {
  return detail::drain_connections(from, detail::saturated(limit), std::move(serving));
}

}  // namespace uring6::inline v0
