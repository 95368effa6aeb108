// Keeps a view from outliving its octets, as far as a compiler can tell.
#pragma once

#include <concepts>
#include <cstddef>
#include <ranges>
#include <span>
#include <type_traits>

/// clang warns if the function's result outlives the argument (behind a member function: the object). GCC has no such
/// warning. For temporaries the functions below have deleted overloads, which every compiler refuses.
#if defined(__clang__)
#define URING6_LIFETIMEBOUND [[clang::lifetimebound]]
#else
#define URING6_LIFETIMEBOUND
#endif

namespace uring6::inline v0::detail {

/// A container of octets that is destroyed at the end of the expression, such as a std::vector that a function
/// returned. A std::span owns nothing, so it does not count.
template <class Range>
concept temporary_octets =
    !std::is_lvalue_reference_v<Range> && std::ranges::contiguous_range<Range> && !std::ranges::borrowed_range<Range> &&
    std::convertible_to<Range, std::span<const std::byte>>;

}  // namespace uring6::inline v0::detail
