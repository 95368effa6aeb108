// Octets that a conn has read from the kernel and not handed out, because their read was stopped or its frame was
// destroyed.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstring>
#include <new>
#include <span>
#include <utility>
#include <vector>

namespace uring6::inline v0::detail {

/// A stream's next octets. Holds at most those of one read: as long as it is not empty, reads take from it and not from
/// the kernel.
class kept_octets {
 public:
  bool empty() const noexcept { return first_ == octets_.size(); }

  /// Moves as many as fit.
  std::size_t take(std::span<std::byte> into) noexcept {
    assert(first_ <= octets_.size());
    const std::size_t length = std::min(into.size(), octets_.size() - first_);
    if (length > 0) std::memcpy(into.data(), octets_.data() + first_, length);
    first_ += length;
    assert(first_ <= octets_.size());
    if (empty()) clear();
    return length;
  }

  /// `octets` come before those that are here. False without memory: then nothing is kept, because what follows a gap
  /// is no stream.
  bool put_back(std::span<const std::byte> octets) noexcept {
    if (octets.size() <= first_) {
      first_ -= octets.size();
      std::memcpy(octets_.data() + first_, octets.data(), octets.size());
      return true;
    }
    try {
      octets_.erase(octets_.begin(), octets_.begin() + static_cast<std::ptrdiff_t>(first_));
      first_ = 0;
      octets_.insert(octets_.begin(), octets.begin(), octets.end());
    } catch (const std::bad_alloc&) {
      clear();
      return false;
    }
    return true;
  }

  /// Those of the connection's last owner, before the first read.
  void begin_with(std::vector<std::byte> octets) noexcept {
    assert(empty() && "octets of an earlier owner came before");
    octets_ = std::move(octets);
    first_ = 0;
  }

  /// All of them; none are here after that.
  std::vector<std::byte> release() noexcept {
    octets_.erase(octets_.begin(), octets_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
    return std::exchange(octets_, {});
  }

 private:
  // Memory that a connection keeps for the next read that loses: octets. One of a usual size allocates nothing then,
  // and a rare large one leaves nothing behind.
  static constexpr std::size_t most_spare = 65'536;

  void clear() noexcept {
    octets_.clear();
    if (octets_.capacity() > most_spare) octets_ = std::vector<std::byte>();  // `= {}` keeps the memory
    first_ = 0;
  }

  std::vector<std::byte> octets_;
  std::size_t first_ = 0;  // those before it have been taken
};

}  // namespace uring6::inline v0::detail
