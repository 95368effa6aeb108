// Does this kernel report what several reads of one socket took in the order in which they took it?
#pragma once

#include <cstdint>
#include <optional>

namespace uring6::detail {

/// Several multishot reads of one socket, submitted together: does the completion that ends the first one (an empty
/// datagram) come before the data that the second one took? Linux 6.1 keeps the last completion of each request back
/// until the submission is over, and so tells of the data first (seen on 6.1.0-57; 6.12 and 6.18 keep the order).
///
/// Tried once per process on a pair of Unix sockets and a ring of `setup_flags`, which takes some 100 microseconds.
/// False as long as it cannot be tried (no descriptor, no memory): the next call, by the next loop, tries again. Any
/// thread.
bool completions_keep_order(std::uint32_t setup_flags) noexcept;

/// The trial itself, each time; nothing if it cannot be made.
std::optional<bool> try_completion_order(std::uint32_t setup_flags) noexcept;

}  // namespace uring6::detail
