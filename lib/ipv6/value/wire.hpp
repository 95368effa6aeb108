// A reader and a writer of bytes in network order that check every bound. After the first step beyond the end both do
// nothing more and remember it, so that a codec checks once, at the end.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "uring6/address.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0::wire {

using bytes = std::span<const std::byte>;

constexpr std::uint8_t load8(bytes from, std::size_t at = 0) noexcept {
  assert(at < from.size());
  return std::to_integer<std::uint8_t>(from[at]);
}

constexpr std::uint16_t load16(bytes from, std::size_t at = 0) noexcept {
  return static_cast<std::uint16_t>(load8(from, at) << 8 | load8(from, at + 1));
}

constexpr std::uint32_t load32(bytes from, std::size_t at = 0) noexcept {
  return std::uint32_t{load16(from, at)} << 16 | load16(from, at + 2);
}

inline ip_address load_address(bytes from, std::size_t at = 0) noexcept {
  ip_address::bytes_type address;
  assert(from.size() >= address.size() && at <= from.size() - address.size());
  std::memcpy(address.data(), from.subspan(at, address.size()).data(), address.size());
  return ip_address(address);
}

constexpr void store16(std::span<std::byte> to, std::size_t at, std::uint16_t value) noexcept {
  assert(to.size() >= 2 && at <= to.size() - 2);
  to[at] = static_cast<std::byte>(value >> 8);
  to[at + 1] = static_cast<std::byte>(value & 0xff);
}

/// Takes values from the front. Beyond the end it returns zeros and empty spans, and `ok()` is false from then on.
class reader {
 public:
  explicit constexpr reader(bytes from) noexcept : left_(from) {}

  constexpr std::uint8_t u8() noexcept {
    const bytes taken = take(1);
    return taken.empty() ? std::uint8_t{0} : load8(taken);
  }
  constexpr std::uint16_t u16() noexcept {
    const bytes taken = take(2);
    return taken.empty() ? std::uint16_t{0} : load16(taken);
  }
  constexpr std::uint32_t u32() noexcept {
    const bytes taken = take(4);
    return taken.empty() ? 0 : load32(taken);
  }
  ip_address address() noexcept {
    const bytes taken = take(sizeof(ip_address::bytes_type));
    return taken.empty() ? ip_address() : load_address(taken);
  }

  /// Takes the next `size` bytes; none if fewer are left.
  constexpr bytes take(std::size_t size) noexcept {
    if (size > left_.size()) {
      ok_ = false;
      left_ = {};
      return {};
    }
    const bytes taken = left_.first(size);
    left_ = left_.subspan(size);
    return taken;
  }
  constexpr void skip(std::size_t size) noexcept { take(size); }

  /// Takes all bytes that are left.
  constexpr bytes rest() noexcept { return take(left_.size()); }

  constexpr bool ok() const noexcept { return ok_; }
  constexpr bool empty() const noexcept { return left_.empty(); }

 private:
  bytes left_;
  bool ok_ = true;
};

/// Appends values to an area. A value that does not fit is not written, and `size()` returns an error from then on.
class writer {
 public:
  explicit constexpr writer(std::span<std::byte> area) noexcept : area_(area) {}

  constexpr void u8(unsigned value) noexcept {
    assert(value <= 0xff && "the codec has refused, or masked, a value that its field cannot hold");
    if (room(1)) area_[size_++] = static_cast<std::byte>(value);
  }
  constexpr void u16(unsigned value) noexcept {
    assert(value <= 0xffff);
    u8(value >> 8 & 0xff);
    u8(value & 0xff);
  }
  constexpr void u32(std::uint32_t value) noexcept {
    u16(value >> 16);
    u16(value & 0xffff);
  }
  void address(const ip_address& value) noexcept { copy(std::as_bytes(std::span(value.bytes()))); }
  void copy(bytes value) noexcept {
    if (!room(value.size()) || value.empty()) return;
    std::memcpy(area_.data() + size_, value.data(), value.size());
    size_ += value.size();
  }
  void zeros(std::size_t count) noexcept {
    if (!room(count)) return;
    std::fill_n(area_.begin() + static_cast<std::ptrdiff_t>(size_), count, std::byte{0});
    size_ += count;
  }
  /// Appends zeros up to the next multiple of `unit` bytes, counted from `start`.
  void pad(std::size_t start, std::size_t unit) noexcept {
    assert(start <= size_ && unit > 0);
    const std::size_t over = (size_ - start) % unit;
    if (over != 0) zeros(unit - over);
  }

  /// The place of the next value, for `set8` and `set16` once the value of the field is known.
  constexpr std::size_t position() const noexcept { return size_; }
  constexpr void set8(std::size_t at, unsigned value) noexcept {
    assert(value <= 0xff && (at < size_ || overflow_) && "the place was written before");
    if (at < size_) area_[at] = static_cast<std::byte>(value);
  }
  constexpr void set16(std::size_t at, unsigned value) noexcept {
    assert(value <= 0xffff && (at + 2 <= size_ || overflow_) && "the place was written before");
    if (at + 2 <= size_) store16(area_, at, static_cast<std::uint16_t>(value));
  }
  /// The bytes written from `start` on.
  constexpr bytes written(std::size_t start = 0) const noexcept {
    assert(start <= size_);
    return area_.first(size_).subspan(start);
  }

  /// The bytes written. Error: `std::errc::no_buffer_space` if the area was too short.
  result<std::size_t> size() const noexcept {
    if (overflow_) return fail(std::errc::no_buffer_space);
    return size_;
  }

 private:
  // After one value did not fit, no later and shorter value is written in its place.
  constexpr bool room(std::size_t count) noexcept {
    assert(size_ <= area_.size());
    if (count > area_.size() - size_) overflow_ = true;
    return !overflow_;
  }

  std::span<std::byte> area_;
  std::size_t size_ = 0;
  bool overflow_ = false;
};

}  // namespace uring6::inline v0::wire
