#include "uring/readiness/buffer_groups.hpp"

#include <bit>
#include <cerrno>

namespace uring6::inline v0::detail {

int buffer_groups::add(const ::io_uring_buf_reg& registration) noexcept {
  constexpr std::uint32_t most_buffers = 32'768;  // the kernel's limit: numbers of buffers have 16 bits
  if (registration.bgid >= groups_.size() || !registration.ring_addr ||
      !std::has_single_bit(registration.ring_entries) || registration.ring_entries > most_buffers)
    return -EINVAL;
  std::optional<buffer_group>& group = groups_[registration.bgid];
  if (group) return -EEXIST;
  group.emplace(reinterpret_cast<::io_uring_buf_ring*>(registration.ring_addr), registration.ring_entries);
  return 0;
}

void buffer_groups::remove(std::uint16_t group) noexcept {
  if (group < groups_.size()) groups_[group].reset();
}

}  // namespace uring6::inline v0::detail
