// The counters of loops, of their receive pools and of conns, as values, as text and as JSON.
#pragma once

#include "uring6/version.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace uring6::inline v0 {

/// Counters of a loop since it was made.
struct loop_stats {
  std::uint64_t enters = 0;         ///< System calls into the ring (io_uring_enter); by readiness, calls of epoll_wait.
  std::uint64_t sends = 0;          ///< System calls that sent datagrams past the ring (sendmmsg, sendmsg).
  std::uint64_t submissions = 0;    ///< Operations handed to the kernel.
  std::uint64_t completions = 0;    ///< Completions reaped.
  std::uint64_t overflows = 0;      ///< Enters that found the completion queue overflowed.
  std::uint64_t turns = 0;          ///< Rounds of the loop.
  std::uint64_t resumptions = 0;    ///< Coroutines resumed from the ready queue.
  std::uint64_t posts = 0;          ///< Calls from other threads (`post`, stop requests, wake-ups) that ran.
  std::uint64_t ring_messages = 0;  ///< Other loops that this loop woke by a ring message (IORING_OP_MSG_RING).
  std::uint64_t spins = 0;          ///< Spins that found something and saved a sleep.
  std::uint64_t idle_spins = 0;     ///< Spins that found nothing; the loop slept after them.
  std::uint64_t looks = 0;          ///< System calls by which a spin asked a socket for a datagram (recvmsg, recv).
  std::uint64_t readiness = 0;      ///< 1: this process executes the operations (loop_driver::readiness); 0: io_uring.
  /// By readiness: calls that tried to execute an operation, and those of epoll_ctl. The calls that look at the flags
  /// or the error of a descriptor beside an attempt (fcntl, getsockopt) are not counted.
  std::uint64_t attempts = 0;
  std::uint64_t io_uring_errno = 0;  ///< The errno by which io_uring was refused, if `automatic` became readiness.

  /// All system calls that the loop has made to send, to receive and to wait.
  constexpr std::uint64_t system_calls() const noexcept { return enters + sends + looks + attempts; }
};

/// State and counters of a pool of receive buffers, since the first conn that uses it.
struct pool_stats {
  std::uint64_t buffers = 0;      ///< All buffers of the pool; 0: no conn has needed the pool yet.
  std::uint64_t buffer_size = 0;  ///< Octets of each buffer.
  std::uint64_t in_kernel = 0;    ///< Now: buffers that the kernel may fill.
  std::uint64_t in_use = 0;     ///< Now: buffers that wait for a reader, are lent to a reader, or are filled by a spin.
  std::uint64_t filled = 0;     ///< Buffers that the kernel has filled.
  std::uint64_t exhausted = 0;  ///< Reads that ended because the pool had no free buffer: back-pressure, no loss.
  std::uint64_t moved_out = 0;  ///< Buffers copied out of the pool because their reader was away.
  std::uint64_t moved_out_bytes = 0;  ///< Octets of memory that these copies take now (loop_options::moved_out_limit).
  std::uint64_t not_moved_out = 0;    ///< Buffers discarded with their datagrams because of that limit.
  std::uint64_t lost = 0;             ///< Buffers that the kernel took and that no completion named: given up.
};

/// Counters of a packet_conn since it was opened.
struct packet_stats {
  std::uint64_t received_datagrams = 0;  ///< Datagrams handed to readers.
  std::uint64_t received_bytes = 0;      ///< Octets of their payloads.
  /// Buffers that the kernel filled; fewer than datagrams where trains came (UDP_GRO).
  std::uint64_t received_buffers = 0;
  std::uint64_t received_trains = 0;  ///< Buffers with more than one datagram.
  std::uint64_t rearms = 0;           ///< Times that the read had ended and was armed again.
  std::uint64_t out_of_buffers = 0;  ///< Reads that ended because the pool had no free buffer: back-pressure, no loss.
  /// Errors that a read of the socket met (answers of the network by ICMP, refusals of the kernel), and those that a
  /// write met and left to a reader (`packet_conn::set_error_reports`): each once, when it was found. Of several that
  /// come while no coroutine reads, the last one ends the next read. Not counted: a pool without buffers, a stop, a
  /// deadline, the end of the conn, and errors that end writes (`failed_datagrams`).
  std::uint64_t receive_errors = 0;
  std::uint64_t malformed = 0;  ///< Completions with an invalid header, or without memory for an empty datagram.
  /// Entries of the socket's queue that the kernel dropped since the conn was opened or adopted, because its buffer
  /// was full or a filter or a checksum refused them (SO_MEMINFO).
  ///
  /// The kernel counts a train as one entry, however many datagrams it has: up to 64 from another host, up to 128
  /// over lo and veth. So with `receive_offload` the number of lost datagrams lies between this value and 128 times
  /// this value; without `receive_offload` it is exactly this value.
  std::uint64_t kernel_drops = 0;
  /// Datagrams that were received and discarded: unread when the conn was closed (`release` hands them over), or
  /// beyond `loop_options::moved_out_limit` while the reader was away.
  std::uint64_t discarded = 0;
  std::uint64_t sent_datagrams = 0;  ///< Datagrams that the kernel took.
  std::uint64_t sent_bytes = 0;      ///< Octets of their payloads.
  std::uint64_t sent_trains = 0;     ///< Trains sent (UDP_SEGMENT).
  /// Trains that the kernel refused (EIO, EINVAL, EMSGSIZE), and that were sent again datagram by datagram.
  std::uint64_t refused_trains = 0;
  std::uint64_t parked_sends = 0;  ///< Sends that had to wait for room in the socket's buffer.
  /// Not sent, with an error. Not counted: those of calls that end before they begin (a closed conn, a passed
  /// deadline), and of a call that reports the error of an earlier write (coalesce_writes).
  std::uint64_t failed_datagrams = 0;
  std::uint64_t failed_after_write = 0;  ///< Of `failed_datagrams`: after `write_to` had returned (coalesce_writes).
  std::uint64_t zero_copy_sends = 0;     ///< Datagrams and trains sent by SENDMSG_ZC (zero_copy_from).
  /// Of `zero_copy_sends`: the kernel copied after all (IORING_NOTIF_USAGE_ZC_COPIED).
  std::uint64_t copied_sends = 0;
};

/// Counters of a TCP connection since it was opened.
struct tcp_stats {
  std::uint64_t received_bytes = 0;  ///< Octets handed to readers.
  std::uint64_t sent_bytes = 0;  ///< Octets that the kernel took, including those of writes that ended with an error.
};

/// A counter and its name.
template <class Stats>
struct named_counter {
  std::string_view name{};
  std::uint64_t Stats::*value = nullptr;
};

/// The counters of a statistics type, each with its name, in the order of the members. Text and JSON are made from
/// this list alone. A program specializes it to get both for its own statistics.
template <class Stats>
inline constexpr std::array<named_counter<Stats>, 0> counters_of{};

template <>
inline constexpr auto counters_of<loop_stats> = std::to_array<named_counter<loop_stats>>({
    {"enters", &loop_stats::enters},
    {"sends", &loop_stats::sends},
    {"submissions", &loop_stats::submissions},
    {"completions", &loop_stats::completions},
    {"overflows", &loop_stats::overflows},
    {"turns", &loop_stats::turns},
    {"resumptions", &loop_stats::resumptions},
    {"posts", &loop_stats::posts},
    {"ring_messages", &loop_stats::ring_messages},
    {"spins", &loop_stats::spins},
    {"idle_spins", &loop_stats::idle_spins},
    {"looks", &loop_stats::looks},
    {"readiness", &loop_stats::readiness},
    {"attempts", &loop_stats::attempts},
    {"io_uring_errno", &loop_stats::io_uring_errno},
});

template <>
inline constexpr auto counters_of<pool_stats> = std::to_array<named_counter<pool_stats>>({
    {"buffers", &pool_stats::buffers},
    {"buffer_size", &pool_stats::buffer_size},
    {"in_kernel", &pool_stats::in_kernel},
    {"in_use", &pool_stats::in_use},
    {"filled", &pool_stats::filled},
    {"exhausted", &pool_stats::exhausted},
    {"moved_out", &pool_stats::moved_out},
    {"moved_out_bytes", &pool_stats::moved_out_bytes},
    {"not_moved_out", &pool_stats::not_moved_out},
    {"lost", &pool_stats::lost},
});

template <>
inline constexpr auto counters_of<packet_stats> = std::to_array<named_counter<packet_stats>>({
    {"received_datagrams", &packet_stats::received_datagrams},
    {"received_bytes", &packet_stats::received_bytes},
    {"received_buffers", &packet_stats::received_buffers},
    {"received_trains", &packet_stats::received_trains},
    {"rearms", &packet_stats::rearms},
    {"out_of_buffers", &packet_stats::out_of_buffers},
    {"receive_errors", &packet_stats::receive_errors},
    {"malformed", &packet_stats::malformed},
    {"kernel_drops", &packet_stats::kernel_drops},
    {"discarded", &packet_stats::discarded},
    {"sent_datagrams", &packet_stats::sent_datagrams},
    {"sent_bytes", &packet_stats::sent_bytes},
    {"sent_trains", &packet_stats::sent_trains},
    {"refused_trains", &packet_stats::refused_trains},
    {"parked_sends", &packet_stats::parked_sends},
    {"failed_datagrams", &packet_stats::failed_datagrams},
    {"failed_after_write", &packet_stats::failed_after_write},
    {"zero_copy_sends", &packet_stats::zero_copy_sends},
    {"copied_sends", &packet_stats::copied_sends},
});

template <>
inline constexpr auto counters_of<tcp_stats> = std::to_array<named_counter<tcp_stats>>({
    {"received_bytes", &tcp_stats::received_bytes},
    {"sent_bytes", &tcp_stats::sent_bytes},
});

/// A statistics type with all its members in `counters_of`.
template <class Stats>
concept has_counters = std::is_class_v<Stats> &&(counters_of<Stats>.size() > 0) &&
                       sizeof(Stats) == counters_of<Stats>.size() * sizeof(std::uint64_t);

static_assert(has_counters<loop_stats> && has_counters<pool_stats>);
static_assert(has_counters<packet_stats> && has_counters<tcp_stats>);

/// Calls `visit(name, value)` for each counter, in the order of the list.
template <has_counters Stats, class Visit>
constexpr void for_each_counter(const Stats& stats, Visit&& visit) {
  for (const auto& [name, value] : counters_of<Stats>) visit(name, stats.*value);
}

/// One line of all counters that are not 0: "enters=12 submissions=33". "none" if all are 0.
template <has_counters Stats>
std::string to_string(const Stats& stats) {
  std::string text;
  for_each_counter(stats, [&text](std::string_view name, std::uint64_t value) {
    if (value == 0) return;
    if (!text.empty()) text += ' ';
    text.append(name).append("=").append(std::to_string(value));
  });
  return text.empty() ? "none" : text;
}

/// A JSON object of all counters, on one line: {"enters":12,"overflows":0}.
template <has_counters Stats>
std::string to_json(const Stats& stats) {
  std::string text;
  for_each_counter(stats, [&text](std::string_view name, std::uint64_t value) {
    text.append(text.empty() ? "{\"" : ",\"").append(name).append("\":").append(std::to_string(value));
  });
  return text + '}';
}

}  // namespace uring6::inline v0
