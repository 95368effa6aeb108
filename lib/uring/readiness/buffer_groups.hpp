// The rings of buffers from which reads take theirs: this process takes what the kernel would take.
#pragma once

#include <liburing.h>

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace uring6::inline v0::detail {

/// One ring of provided buffers. The owner of the buffers adds entries at the tail, this class takes them at the head.
class buffer_group {
 public:
  buffer_group(::io_uring_buf_ring* entries, unsigned count) noexcept : entries_(entries), count_(count) {
    assert(entries && count > 0);
  }

  /// How many buffers can be taken.
  unsigned available() const noexcept {
    return static_cast<std::uint16_t>(__atomic_load_n(&entries_->tail, __ATOMIC_ACQUIRE) - head_);
  }

  /// The buffer that is `at` places behind the next one. Precondition (asserted): it is available.
  const ::io_uring_buf& peek(unsigned at) const noexcept {
    assert(at < available());
    return entries_->bufs[(head_ + at) & (count_ - 1)];
  }

  /// Takes that many out. Precondition (asserted): they are available.
  void take(unsigned many) noexcept {
    assert(many <= available());
    head_ = static_cast<std::uint16_t>(head_ + many);
  }

  /// Puts the one that was taken last back. Precondition: its owner has not been told of it.
  void put_back() noexcept { --head_; }

 private:
  ::io_uring_buf_ring* entries_;
  unsigned count_;
  std::uint16_t head_ = 0;  // wraps as the tail does
};

/// The groups of a ring, by number. A loop has one for each of its pools.
class buffer_groups {
 public:
  /// EEXIST: the group is there; EINVAL: its number is too high, or the registration is none; as negative errno.
  int add(const ::io_uring_buf_reg& registration) noexcept;
  void remove(std::uint16_t group) noexcept;

  /// nullptr: there is no such group.
  buffer_group* find(std::uint16_t group) noexcept {
    return group < groups_.size() && groups_[group] ? &*groups_[group] : nullptr;
  }

 private:
  static constexpr std::size_t most_groups = 16;  // a choice: a loop has two
  std::array<std::optional<buffer_group>, most_groups> groups_;
};

}  // namespace uring6::inline v0::detail
