// uring6's relays. Both send out of the buffers that the kernel filled.
#pragma once

#include <memory>

#include "subjects/subject.hpp"

namespace bench::u6 {

/// A message for each train of a lent batch and each peer.
std::unique_ptr<subject> relay_by_train(const settings&);

/// A message for each datagram and each peer. The vector is for how many peers there are messages at a time.
std::unique_ptr<subject> relay_by_datagram(const settings&);

}  // namespace bench::u6
