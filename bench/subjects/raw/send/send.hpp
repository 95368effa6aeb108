// The send loops that a careful C programmer writes.
#pragma once

#include <memory>

#include "subjects/subject.hpp"

namespace bench::raw {

std::unique_ptr<subject> send_by_sendmsg(const settings&);
std::unique_ptr<subject> send_by_sendmmsg(const settings&);
std::unique_ptr<subject> send_by_gso(const settings&);
std::unique_ptr<subject> send_messages_by_gso(const settings&);

/// Each packet to every peer (common/fan.hpp).
std::unique_ptr<subject> fan_by_sendmmsg(const settings&);
std::unique_ptr<subject> fan_by_gso(const settings&);

}  // namespace bench::raw
