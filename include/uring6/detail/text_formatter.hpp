// A fmt formatter for each type with a to_string.
#pragma once

#include <fmt/format.h>

#include <type_traits>
#include <variant>

namespace uring6::detail {

/// Prints what `to_string(value)` returns, with the format specification of a string. The library makes the text and
/// the header the formatter, so the two may use different versions of fmt.
template <class T>
struct text_formatter : fmt::formatter<fmt::string_view> {
  template <class Context>
  auto format(const T& value, Context& context) const {
    const auto text = to_string(value);
    return fmt::formatter<fmt::string_view>::format(fmt::string_view(text.data(), text.size()), context);
  }
};

template <class T, class Variant>
inline constexpr bool is_alternative = false;
template <class T, class... Alternatives>
inline constexpr bool is_alternative<T, std::variant<Alternatives...>> = (std::is_same_v<T, Alternatives> || ...);

/// One of the types that a variant may hold.
template <class T, class Variant>
concept alternative_of = is_alternative<T, Variant>;

}  // namespace uring6::detail
