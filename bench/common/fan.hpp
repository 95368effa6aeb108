// The work of fan-out and relay: each packet goes to every peer before the next packet goes to any.
#pragma once

#include <cstdint>

namespace bench {

/// Packets that a subject has at hand at a time, as a relay has after one read.
constexpr std::uint64_t fan_packets = 32;
/// Peers that get each of them.
constexpr std::uint64_t fan_peers = 64;
/// Datagrams of a round.
constexpr std::uint64_t fan_datagrams = fan_packets * fan_peers;

}  // namespace bench
