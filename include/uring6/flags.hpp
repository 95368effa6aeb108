// The operators of all flag enums, and has_any and has_all.
#pragma once

#include "uring6/version.hpp"

#include <type_traits>

namespace uring6::inline v0 {

/// True for the enums whose values are sets of flags. Each such enum sets it beside its definition:
///
///     template <>
///     inline constexpr bool is_flags<control_flags> = true;
template <class Enum>
inline constexpr bool is_flags = false;

/// An enum of flags: control_flags, read_flags, write_flags, poll_events, interface_flags, address_flags.
template <class Enum>
concept flags_enum = std::is_enum_v<Enum> && is_flags<Enum>;

/// The flags of both.
template <flags_enum Enum>
constexpr Enum operator|(Enum a, Enum b) noexcept {
  using bits = std::underlying_type_t<Enum>;
  return static_cast<Enum>(static_cast<bits>(static_cast<bits>(a) | static_cast<bits>(b)));
}

/// The flags that both have.
template <flags_enum Enum>
constexpr Enum operator&(Enum a, Enum b) noexcept {
  using bits = std::underlying_type_t<Enum>;
  return static_cast<Enum>(static_cast<bits>(static_cast<bits>(a) & static_cast<bits>(b)));
}

/// The flags that one of the two has and the other does not have.
template <flags_enum Enum>
constexpr Enum operator^(Enum a, Enum b) noexcept {
  using bits = std::underlying_type_t<Enum>;
  return static_cast<Enum>(static_cast<bits>(static_cast<bits>(a) ^ static_cast<bits>(b)));
}

/// All bits that `a` does not have, also those that are no flag: use it in `flags & ~unwanted`.
template <flags_enum Enum>
constexpr Enum operator~(Enum a) noexcept {
  using bits = std::underlying_type_t<Enum>;
  return static_cast<Enum>(static_cast<bits>(~static_cast<bits>(a)));
}

template <flags_enum Enum>
constexpr Enum& operator|=(Enum& a, Enum b) noexcept {
  return a = a | b;
}
template <flags_enum Enum>
constexpr Enum& operator&=(Enum& a, Enum b) noexcept {
  return a = a & b;
}
template <flags_enum Enum>
constexpr Enum& operator^=(Enum& a, Enum b) noexcept {
  return a = a ^ b;
}

/// Whether `flags` holds at least one of `wanted`; false if `wanted` is empty.
template <flags_enum Enum>
constexpr bool has_any(Enum flags, Enum wanted) noexcept {
  return (flags & wanted) != Enum{};
}

/// Whether `flags` holds all of `wanted`; true if `wanted` is empty.
template <flags_enum Enum>
constexpr bool has_all(Enum flags, Enum wanted) noexcept {
  return (flags & wanted) == wanted;
}

}  // namespace uring6::inline v0
