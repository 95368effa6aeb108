// uring6's datagram_hub: 64 coroutines of one loop, each of which gets every datagram of one socket.
#pragma once

#include <memory>

#include "subjects/subject.hpp"

namespace bench::u6 {

/// One subscription, which checks each datagram: what the hub costs beside `receive`.
std::unique_ptr<subject> subscribe_alone(const settings&);

/// 64 subscriptions. Each walks over all datagrams; the first one checks them, as other subjects do.
std::unique_ptr<subject> subscribe_64(const settings&);

/// 64 subscriptions, each of which checks each datagram.
std::unique_ptr<subject> subscribe_64_that_check(const settings&);

}  // namespace bench::u6
