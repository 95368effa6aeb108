// A conn of a socket that another process still holds.
#pragma once

#include "uring6/event_loop.hpp"
#include "uring6/listen.hpp"
#include "uring6/packet_conn.hpp"
#include "uring6/released_packet.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0::detail {

/// As `adopt_packet` of what was released, but changes no option of the socket: the other process may go on with it.
result<packet_conn> adopt_handed_over(event_loop& loop, const released_packet& from, const packet_options& options);

}  // namespace uring6::inline v0::detail
