// Which fields of a control message a send tells the kernel. The other fields have a meaning only when they are
// received.
#pragma once

#include "net/send/same_bytes.hpp"
#include "uring6/control_message.hpp"

namespace uring6::inline v0::detail {

/// Has the message no field that a send encodes? Then the send needs no control bytes, and no check of their values.
inline bool is_empty_for_send(const control_message& message) noexcept {
  const auto given = [](const auto& field) { return static_cast<unsigned>(field.has_value()); };
  return (given(message.traffic_class) | given(message.hop_limit) | given(message.interface_index) |
          given(message.source) | given(message.next_hop)) == 0;
}

/// Do both messages encode to the same control bytes for a send?
inline bool is_equal_for_send(const control_message& one, const control_message& other) noexcept {
  if (same_bytes(one, other)) return true;
  return one.traffic_class == other.traffic_class && one.hop_limit == other.hop_limit &&
         one.interface_index == other.interface_index && one.source == other.source && one.next_hop == other.next_hop;
}

}  // namespace uring6::inline v0::detail
