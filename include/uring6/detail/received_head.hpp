// What is known of everything in one received buffer: of a datagram, or of a train of them.
#pragma once

#include <cstddef>

#include "uring6/address.hpp"
#include "uring6/control_message.hpp"

namespace uring6::detail {

struct received_head {
  endpoint source;
  control_message control;
  bool control_truncated = false;
};

/// What was copied out of a buffer: a datagram, or its beginning. The rest of what is known of it stands in the buffer
/// until something else is received.
struct received_piece {
  std::size_t copied;
  const received_head* head;
  std::size_t full_length;
  bool truncated;
};

}  // namespace uring6::detail
