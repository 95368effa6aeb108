// Relays in plain C: each packet that comes in goes to every peer.
#pragma once

#include <memory>

#include "subjects/subject.hpp"

namespace bench::raw {

/// recvmmsg and sendmmsg, in the order of the packets.
std::unique_ptr<subject> relay(const settings&);

/// Whole trains, as an expert would by hand: one recvmsg (UDP_GRO), and one sendmmsg of a train for each peer
/// (UDP_SEGMENT), out of the memory that the kernel wrote to.
std::unique_ptr<subject> relay_by_train(const settings&);

}  // namespace bench::raw
