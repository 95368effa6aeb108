// Does this kernel post the completions of several reads of one socket in the order in which the reads took their
// datagrams?
#pragma once

#include <cstdint>
#include <optional>

namespace uring6::inline v0::detail {

/// Several multishot reads of one socket, submitted together: does the completion that ends the first one (an empty
/// datagram) come before the data that the second one took? Linux 6.1 holds the last completion of each request back
/// until the submission is over, and so posts the data first (seen on 6.1.0-57; 6.12 and 6.18 keep the order).
///
/// Tried once per process, in some 100 microseconds, on Unix sockets and a ring of `setup_flags`. False if it cannot be
/// tried (no descriptor, no memory); the next call tries again. Any thread.
bool completions_keep_order(std::uint32_t setup_flags) noexcept;

/// The trial itself, made at each call; nothing if it cannot be made.
std::optional<bool> try_completion_order(std::uint32_t setup_flags) noexcept;

}  // namespace uring6::inline v0::detail
