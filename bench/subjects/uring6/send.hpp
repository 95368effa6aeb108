// uring6's ways to send.
#pragma once

#include <memory>

#include "subjects/subject.hpp"

namespace bench::u6 {

std::unique_ptr<subject> send_by_write_batch(const settings&);

/// As many coroutines send at the same time as the vector has elements.
std::unique_ptr<subject> send_by_write_to(const settings&);

/// Each packet to every peer (common/fan.hpp): one batch for all, one coroutine that writes ahead, a coroutine for each
/// peer.
std::unique_ptr<subject> fan_by_write_batch(const settings&);
std::unique_ptr<subject> fan_by_write_to(const settings&);
std::unique_ptr<subject> fan_by_coroutines(const settings&);

}  // namespace bench::u6
