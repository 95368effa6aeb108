// Which sends go without a copy: long ones, except to destinations for which the kernel copies the payload anyway.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "net/send/send_train.hpp"
#include "uring6/address.hpp"

namespace uring6::inline v0::detail {

class zero_copy_choice {
 public:
  /// Destinations for which the kernel copied. Each long send searches them all.
  static constexpr std::size_t max_destinations = 64;
  /// Sends to such a destination that go with a copy before the next one is tried without: the route may lead to
  /// another device by then. At this number a destination that always copies costs one notification in 1,024 sends.
  static constexpr std::uint32_t sends_until_retry = 1024;

  /// Chooses among sends of at least `min_octets`.
  explicit zero_copy_choice(std::size_t min_octets) : min_octets_(min_octets) {
    assert(min_octets > 0 && "0 octets mean that every send is copied: then there is no choice");
    copying_.reserve(max_destinations);
  }

  /// Shall this train go without a copy? A call counts as one of the `sends_until_retry` of its destination.
  bool takes(const send_train& train) noexcept;

  /// The kernel's notification says that it copied a zero-copy send to this destination.
  void copied_towards(const ip_address& destination) noexcept;

 private:
  struct copying {
    ip_address destination;
    std::uint32_t sends_left;
  };

  std::size_t min_octets_;
  std::vector<copying> copying_;  // the oldest first
};

}  // namespace uring6::inline v0::detail
