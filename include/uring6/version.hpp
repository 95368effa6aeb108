// The version of the headers and of the library, and the language mode that the headers need.
#pragma once

// Each public header includes this one first, so that a compiler in an older mode reports this error before all
// others.
#if !defined(__cplusplus) || __cplusplus < 202002L
#error "uring6 needs C++20: compile with -std=c++20 or later (g++ 12 or clang 16, or later)"
#endif

#include <string_view>

#include "uring6/export.hpp"

/// major * 10000 + minor * 100 + patch of these headers, for #if.
#define URING6_VERSION 100
#define URING6_VERSION_STRING "0.1.0"

namespace uring6::inline v0 {

/// The version of the library that runs, "0.1.0". It differs from URING6_VERSION_STRING, the version of the headers
/// that a program was compiled with, after an update of the shared library. Any thread.
URING6_EXPORT std::string_view version() noexcept;

}  // namespace uring6::inline v0
