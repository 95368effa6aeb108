// Texts of enumerators and flags, out of a table of their names.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace uring6::inline v0::detail {

template <class Enum>
using named = std::pair<Enum, std::string_view>;

/// The name of an enumerator; its number if the table has none.
template <class Enum>
std::string name_of(Enum value, std::span<const named<Enum>> names) {
  for (const auto& [each, name] : names) {
    if (each == value) return std::string(name);
  }
  return fmt::format("{}", static_cast<unsigned>(value));
}

/// The names of the flags that are set, joined by "|"; bits without a name as one hexadecimal number at the end;
/// "none".
template <class Flags>
std::string names_of(Flags flags, std::span<const named<Flags>> names) {
  std::string text;
  auto rest = static_cast<std::uint32_t>(flags);
  for (const auto& [flag, name] : names) {
    const auto bits = static_cast<std::uint32_t>(flag);
    if ((static_cast<std::uint32_t>(flags) & bits) != bits) continue;
    if (!text.empty()) text += '|';
    text += name;
    rest &= ~bits;
  }
  if (rest != 0) fmt::format_to(std::back_inserter(text), "{}{:#x}", text.empty() ? "" : "|", rest);
  return text.empty() ? "none" : text;
}

}  // namespace uring6::inline v0::detail
