// Waiting for, sending and taking the messages of a hand-over.
#pragma once

#include <cstddef>
#include <span>

#include "net/handover/handover_message.hpp"
#include "sys/socket/descriptor_message.hpp"
#include "uring6/result.hpp"
#include "uring6/task.hpp"

namespace uring6::inline v0::detail {

/// Sends a message, when there is room for it. Errors: connection_reset if the peer has ended; those of `send_message`;
/// deadline_exceeded, canceled.
task<result<void>> send_when_possible(int channel, wire::bytes octets, int passed, clock::time_point until);

/// A message that has come, in the memory of `take_message`.
struct arrived_message {
  handover_view view;
  file_descriptor passed;
};

/// Waits for a message, which lies in `area` then. Errors: connection_reset if the peer has ended; what it refused
/// with; malformed, also for descriptors beside a message that has none; too_many_files_open; protocol_not_supported
/// for another version; those of `receive_message`; deadline_exceeded, canceled.
task<result<arrived_message>> take_message(int channel, std::span<std::byte> area, clock::time_point until);

/// Tells the peer, if it is still there, that the hand-over has failed.
void refuse(int channel, const std::error_code& why) noexcept;

/// Sends a short message without waiting.
result<void> tell(int channel, handover_kind kind, std::uint32_t value = 0) noexcept;

}  // namespace uring6::inline v0::detail
