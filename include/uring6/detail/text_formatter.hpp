// A fmt formatter for each type with a to_string.
#pragma once

#include <fmt/format.h>

#include <string>
#include <type_traits>
#include <variant>

namespace uring6::inline v0::detail {

/// Formats a value as the text that `to_string(value)` returns, with the format specification of a string. The library
/// makes the text and the header the formatter, so the two may use different versions of fmt.
///
/// The string formatter is a member and not a base: with a base fmt's ranges would call its set_debug_format and write
/// quotation marks.
template <class T>
class text_formatter {
 public:
  constexpr auto parse(fmt::format_parse_context& context) { return string_.parse(context); }

  template <class Context>
  auto format(const T& value, Context& context) const {
    const auto text = to_string(value);
    return string_.format(fmt::string_view(text.data(), text.size()), context);
  }

 private:
  fmt::formatter<fmt::string_view> string_;
};

/// The same for an enum whose `to_string` gives no words for some values: those are numbers.
template <class T>
class words_formatter {
 public:
  constexpr auto parse(fmt::format_parse_context& context) { return string_.parse(context); }

  template <class Context>
  auto format(T value, Context& context) const {
    const auto words = to_string(value);
    if (!words.empty()) return string_.format(fmt::string_view(words.data(), words.size()), context);
    const std::string number = std::to_string(static_cast<unsigned>(value));
    return string_.format(number, context);
  }

 private:
  fmt::formatter<fmt::string_view> string_;
};

template <class T, class... Types>
concept one_of = (std::is_same_v<T, Types> || ...);

template <class T, class Variant>
inline constexpr bool is_alternative = false;
template <class T, class... Alternatives>
inline constexpr bool is_alternative<T, std::variant<Alternatives...>> = one_of<T, Alternatives...>;

/// One of the types that a variant may hold.
template <class T, class Variant>
concept alternative_of = is_alternative<T, Variant>;

}  // namespace uring6::inline v0::detail
