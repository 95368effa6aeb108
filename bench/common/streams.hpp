// What the TCP cases and their subjects agree on.
#pragma once

#include <cstddef>

namespace bench {

/// Octets of the longest message of a TCP case: the room that a server has for a connection.
constexpr std::size_t longest_message = 16'384;

}  // namespace bench
