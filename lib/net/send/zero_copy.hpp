// Which sends go without a copy: long ones, as far as the kernel does not copy them after all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "net/send/send_train.hpp"
#include "uring6/address.hpp"

namespace uring6::detail {

class zero_copy_choice {
 public:
  static constexpr std::size_t max_destinations = 64;  // of which it is remembered that the kernel copies
  static constexpr std::uint32_t sends_until_retry = 1024;

  /// Of sends of at least so many octets.
  explicit zero_copy_choice(std::size_t from) : from_(from) { copying_.reserve(max_destinations); }

  /// Is this one to go without a copy? Counts the sends to where the kernel copies: after some it is asked again.
  bool takes(const send_train& train) noexcept;

  /// The kernel has copied what was to go there without a copy.
  void copied_towards(const ip_address& destination) noexcept;

 private:
  struct copying {
    ip_address destination;
    std::uint32_t sends_left;
  };

  std::size_t from_;
  std::vector<copying> copying_;  // the oldest first
};

}  // namespace uring6::detail
