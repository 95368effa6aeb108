// What is known of everything in one received buffer: of a datagram, or of a train of them.
#pragma once

#include "uring6/address.hpp"
#include "uring6/control_message.hpp"

namespace uring6::detail {

struct received_head {
  endpoint source;
  control_message control;
  bool control_truncated = false;
};

}  // namespace uring6::detail
