// What a read has copied out of a buffer.
#pragma once

#include <cstddef>

namespace uring6::inline v0 {
struct datagram;
}

namespace uring6::inline v0::detail {

/// A datagram, or its beginning.
struct received_piece {
  std::size_t copied;
  /// The rest of what is known of the datagram. It stands in the buffer and is valid until the buffer receives again.
  const datagram* head;
  std::size_t full_length;
  bool truncated;
};

}  // namespace uring6::inline v0::detail
