// fmt formatters for ICMPv6. Bodies, options, extensions and records print as their to_string. A value of an enum
// prints as its words; without words, as its number. All take the format specification of a string.
#pragma once

#include "uring6/version.hpp"

#include <fmt/format.h>

#include <concepts>
#include <iterator>
#include <string_view>

#include "uring6/detail/text_formatter.hpp"
#include "uring6/icmp.hpp"

namespace uring6::icmp {

/// The enums of ICMPv6 that have words for their values.
template <class T>
concept worded_enum =
    std::same_as<T, icmp_type> || std::same_as<T, unreachable_code> || std::same_as<T, time_exceeded_code> ||
    std::same_as<T, parameter_problem_code> || std::same_as<T, extended_echo_code> || std::same_as<T, neighbor_state> ||
    std::same_as<T, record_type> || std::same_as<T, router_preference>;

}  // namespace uring6::icmp

template <uring6::icmp::worded_enum T>
struct fmt::formatter<T> : fmt::formatter<fmt::string_view> {
  template <class Context>
  auto format(T value, Context& context) const {
    const std::string_view words = to_string(value);
    fmt::memory_buffer text;
    if (words.empty()) {
      fmt::format_to(std::back_inserter(text), "{}", static_cast<unsigned>(value));
    } else {
      text.append(words.data(), words.data() + words.size());
    }
    return fmt::formatter<fmt::string_view>::format(fmt::string_view(text.data(), text.size()), context);
  }
};

template <>
struct fmt::formatter<uring6::icmp::message_body> : uring6::detail::text_formatter<uring6::icmp::message_body> {};

/// One of the bodies.
template <uring6::detail::alternative_of<uring6::icmp::message_body> T>
struct fmt::formatter<T> : fmt::formatter<uring6::icmp::message_body> {};

/// As its body.
template <>
struct fmt::formatter<uring6::icmp::message> : fmt::formatter<uring6::icmp::message_body> {
  template <class Context>
  auto format(const uring6::icmp::message& value, Context& context) const {
    return fmt::formatter<uring6::icmp::message_body>::format(value.body, context);
  }
};

template <>
struct fmt::formatter<uring6::icmp::option> : uring6::detail::text_formatter<uring6::icmp::option> {};

template <uring6::detail::alternative_of<uring6::icmp::option> T>
struct fmt::formatter<T> : fmt::formatter<uring6::icmp::option> {};

template <>
struct fmt::formatter<uring6::icmp::extension> : uring6::detail::text_formatter<uring6::icmp::extension> {};

template <uring6::detail::alternative_of<uring6::icmp::extension> T>
struct fmt::formatter<T> : fmt::formatter<uring6::icmp::extension> {};

template <>
struct fmt::formatter<uring6::icmp::listener_record> : uring6::detail::text_formatter<uring6::icmp::listener_record> {};

template <>
struct fmt::formatter<uring6::icmp::domain_name> : uring6::detail::text_formatter<uring6::icmp::domain_name> {};
