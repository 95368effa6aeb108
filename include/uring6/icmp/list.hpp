// A list inside of a message: the caller's values to be written, or a view into a packet.
#pragma once

#include "uring6/version.hpp"

#include <concepts>
#include <cstddef>
#include <iterator>
#include <ranges>
#include <span>

#include "uring6/address.hpp"
#include "uring6/detail/lifetime.hpp"
#include "uring6/export.hpp"

namespace uring6::inline v0::icmp {

namespace detail {

/// How T stands in a packet. `size` returns the bytes of the element at the front of `rest`, 0 if the element is cut
/// off or malformed. Call `read` only for an element that `size` has measured.
template <class T>
struct element;

template <>
struct URING6_EXPORT element<ip_address> {
  static std::size_t size(std::span<const std::byte> rest) noexcept;
  static ip_address read(std::span<const std::byte> bytes) noexcept;
};

}  // namespace detail

/// A forward range of T that owns nothing.
///
/// To send, make it of the caller's values (`std::array`, `std::vector`, anything contiguous). In a received message
/// it is a view into the packet, and each step of an iterator decodes one element. In both cases the values or the
/// packet must outlive the list.
template <class T>
class list {
 public:
  class iterator;

  constexpr list() noexcept = default;

  /// A list of the caller's values.
  template <class Range>
  requires std::ranges::contiguous_range<const Range> && std::ranges::sized_range<const Range> &&
      std::same_as<std::ranges::range_value_t<Range>, T>
  // NOLINTNEXTLINE(google-explicit-constructor): callers assign a container of values to a field of this type.
  constexpr list(const Range& values URING6_LIFETIMEBOUND) noexcept
      : values_(std::ranges::data(values)), size_(std::ranges::size(values)) {}

  /// A temporary that owns its elements is refused: the elements would be gone when the list is read. Name the
  /// container first.
  template <class Range>
  requires std::ranges::contiguous_range<const Range> && std::ranges::sized_range<const Range> &&
      std::same_as<std::ranges::range_value_t<Range>, T> &&
      (!std::ranges::borrowed_range<Range>)list(const Range&& values) = delete;

  /// The elements in these bytes of a packet, up to the first that is cut off.
  static constexpr list in_packet(std::span<const std::byte> bytes URING6_LIFETIMEBOUND) noexcept {
    list made;
    made.bytes_ = bytes;
    return made;
  }

  iterator begin() const noexcept { return iterator(*this); }
  iterator end() const noexcept { return iterator(); }

  bool empty() const noexcept { return begin() == end(); }

  /// The number of elements; in a packet they are counted at each call.
  std::size_t size() const noexcept { return static_cast<std::size_t>(std::ranges::distance(begin(), end())); }

 private:
  const T* values_ = nullptr;
  std::size_t size_ = 0;
  std::span<const std::byte> bytes_;
};

template <class T>
class list<T>::iterator {
 public:
  using value_type = T;
  using difference_type = std::ptrdiff_t;
  using iterator_concept = std::forward_iterator_tag;
  using iterator_category = std::input_iterator_tag;

  iterator() noexcept = default;

  T operator*() const noexcept { return value_ != nullptr ? *value_ : detail::element<T>::read(rest_.first(step_)); }

  iterator& operator++() noexcept {
    if (value_ != nullptr) {
      --left_;
      value_ = left_ == 0 ? nullptr : value_ + 1;
    } else {
      rest_ = rest_.subspan(step_);
      measure();
    }
    return *this;
  }
  iterator operator++(int) noexcept {
    iterator before = *this;
    ++*this;
    return before;
  }

  friend bool operator==(const iterator& a, const iterator& b) noexcept {
    return a.value_ == b.value_ && a.step_ == b.step_ && a.rest_.data() == b.rest_.data();
  }

 private:
  friend class list;

  explicit iterator(const list& of) noexcept
      : value_(of.size_ == 0 ? nullptr : of.values_), left_(of.size_), rest_(of.bytes_) {
    if (value_ == nullptr) measure();
  }

  // At the end, in both kinds of list, an iterator equals the default one.
  void measure() noexcept {
    step_ = rest_.empty() ? 0 : detail::element<T>::size(rest_);
    if (step_ == 0 || step_ > rest_.size()) *this = {};
  }

  const T* value_ = nullptr;
  std::size_t left_ = 0;
  std::span<const std::byte> rest_;
  std::size_t step_ = 0;
};

}  // namespace uring6::inline v0::icmp
