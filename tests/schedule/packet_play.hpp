// The conns of the packet scenario, and what their operations may end with.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <system_error>

#include "schedule/datagram_books.hpp"
#include "schedule/stage.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/listen.hpp"
#include "uring6/packet_conn.hpp"

namespace uring6::seeds::packets {

inline constexpr unsigned longest = 700;  // octets of a datagram: some fit together into a train

/// A conn, and the books about what is sent to it.
struct place {
  unsigned number = 0;
  packet_conn conn{};
  packet_options options{};
  endpoint name{};
  place* peer = nullptr;    // of a connected conn
  place* target = nullptr;  // of a conn that writes ahead: all its datagrams go there
  datagram_books books{};
  std::uint64_t discarded = 0;  // by conns that were here before
  std::chrono::steady_clock::time_point earliest_deadline = std::chrono::steady_clock::time_point::max();
  bool closed = false;

  std::uint64_t all_discarded() const noexcept { return discarded + conn.stats().discarded; }
};

/// A seed's conns and tasks.
struct play {
  stage& with;
  event_loop& loop;
  loop_options options;
  std::deque<place> places{};
  unsigned readers = 0;
  unsigned writers = 0;
  bool driven = false;    // by `poll`, as in another loop
  bool stopping = false;  // all tasks are asked to end

  /// Datagrams to `at` that were written ahead, and found no room when their conn was closed.
  std::uint64_t lost_to(const place& at) const noexcept {
    std::uint64_t lost = 0;
    for (const place& each : places)
      lost += each.options.coalesce_writes && (each.target == &at || each.peer == &at)
                  ? each.conn.stats().failed_after_write
                  : 0;
    return lost;
  }

  place& any() noexcept { return places[with.below(static_cast<unsigned>(places.size()))]; }
};

/// How a reader goes on after an error.
enum class after { again, ended };

/// May another task stop the operation?
enum class stop { none, possible };

/// Throws `broken` for an error that an operation of `at` cannot end with.
inline after judge(play& in, const place& at, std::error_code error, stop by_others = stop::none) {
  in.with.note(error);
  if (error == errc::canceled) {
    require(in.stopping || by_others == stop::possible, "an operation is canceled that no task has stopped");
    return in.stopping ? after::ended : after::again;
  }
  if (error == errc::closed) return at.closed || in.stopping ? after::ended : after::again;
  if (error == errc::deadline_exceeded) {
    require(in.loop.now() >= at.earliest_deadline, "a deadline passed before its time");
    return after::again;
  }
  if (error == std::errc::resource_unavailable_try_again) return after::again;
  // The answer to a datagram that found its port closed.
  if (error == std::errc::connection_refused && at.peer && at.peer->closed) return after::again;
  throw broken("an operation ended with " + error.message());
}

}  // namespace uring6::seeds::packets
