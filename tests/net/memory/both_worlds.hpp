// Two sockets on ::1 and their loop, once of the kernel and once of a memory_link: the same test for both.
#pragma once

#include <concepts>
#include <tuple>

#include "support/case/coroutines.hpp"
#include "support/traffic/conns.hpp"
#include "uring6/memory_link.hpp"
#include "uring6/packet_conn.hpp"

namespace uring6::test {

inline const loop_options simulated{.clock = loop_clock::simulated};

/// Runs `main()` to its end. In a simulated time no limit can be set by a timer, so SIGALRM ends a test that hangs.
template <std::invocable F>
void play(event_loop& loop, F&& main) {
  const coroutine_detail::last_resort guard;
  loop.run(main());
}

struct kernel_world {
  using socket = packet_conn;
  event_loop loop{simulated};

  socket open() { return open_conn(loop); }
};

struct memory_world {
  using socket = memory_socket;
  event_loop loop{simulated};
  memory_link link{loop};

  socket open() { return or_throw(link.bind("[::1]:0")); }
};

using both = std::tuple<kernel_world, memory_world>;

template <datagram_socket Socket>
endpoint end_of(const Socket& socket) {
  return or_throw(socket.local_endpoint());
}

}  // namespace uring6::test
