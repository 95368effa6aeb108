// What keeps a view from outliving the octets that it looks at, as far as a compiler can tell.
#pragma once

#include <concepts>
#include <cstddef>
#include <ranges>
#include <span>
#include <type_traits>

/// clang warns where the result of the function outlives the argument (or, behind a member function, the object). GCC
/// has no such warning; for temporaries the functions below have deleted overloads, which every compiler refuses.
#if defined(__clang__)
#define URING6_LIFETIMEBOUND [[clang::lifetimebound]]
#else
#define URING6_LIFETIMEBOUND
#endif

namespace uring6::detail {

/// A container of octets that dies at the end of the expression, such as the std::vector that a function has returned.
/// A std::span is none: it owns nothing.
template <class Range>
concept temporary_octets =
    !std::is_lvalue_reference_v<Range> && std::ranges::contiguous_range<Range> && !std::ranges::borrowed_range<Range> &&
    std::convertible_to<Range, std::span<const std::byte>>;

}  // namespace uring6::detail
