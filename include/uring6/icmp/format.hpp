// fmt formatters for ICMPv6. Bodies, options, extensions and records print as their to_string. A value of an enum
// prints as its words; without words, as its number. All take the format specification of a string.
#pragma once

#include "uring6/version.hpp"

#include <fmt/format.h>

#include "uring6/detail/text_formatter.hpp"
#include "uring6/icmp.hpp"

namespace uring6::inline v0::icmp {

/// The enums of ICMPv6 that have words for their values.
template <class T>
concept worded_enum = uring6::detail::one_of<T, icmp_type, unreachable_code, time_exceeded_code, parameter_problem_code,
                                             extended_echo_code, neighbor_state, record_type, router_preference>;

}  // namespace uring6::inline v0::icmp

template <uring6::icmp::worded_enum T>
struct fmt::formatter<T> : uring6::detail::words_formatter<T> {};

template <>
struct fmt::formatter<uring6::icmp::message_body> : uring6::detail::text_formatter<uring6::icmp::message_body> {};

/// One of the bodies.
template <uring6::detail::alternative_of<uring6::icmp::message_body> T>
struct fmt::formatter<T> : fmt::formatter<uring6::icmp::message_body> {};

template <>
struct fmt::formatter<uring6::icmp::message> : uring6::detail::text_formatter<uring6::icmp::message> {};

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
