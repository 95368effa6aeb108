// What a read has copied out of a buffer.
#pragma once

#include <cstddef>

namespace uring6 {
struct datagram;
}

namespace uring6::detail {

/// A datagram, or its beginning.
struct received_piece {
  std::size_t copied;
  /// What else is known of it stands in the buffer, until something else is received into that.
  const datagram* head;
  std::size_t full_length;
  bool truncated;
};

}  // namespace uring6::detail
