// Characters as an argument of a write: their octets.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>

namespace uring6::inline v0::detail {

/// A string, a string view, a literal, or a contiguous range of char. A writable array of char is refused, because it
/// could be a string that ends at a NUL or a full buffer; std::string_view or std::span says which.
template <class Text>
concept characters =
    (std::convertible_to<Text, std::string_view> ||
     std::convertible_to<Text, std::span<const char>>)&&(!std::is_array_v<std::remove_reference_t<Text>> ||
                                                         std::is_const_v<std::remove_reference_t<Text>>);

template <class Text>
std::span<const std::byte> octets_of(const Text& text) noexcept {
  if constexpr (std::convertible_to<const Text&, std::string_view>) {
    return std::as_bytes(std::span<const char>(std::string_view(text)));
  } else {
    return std::as_bytes(std::span<const char>(text));
  }
}

}  // namespace uring6::inline v0::detail
