// Exceptions of inline code, also for programs that are compiled without them (-fno-exceptions).
#pragma once

#include "uring6/version.hpp"

#if !defined(__cpp_exceptions)
#include <cstdio>
#include <exception>
#endif

// A block, and what handles its exceptions. Without exceptions the block alone is left.
#if defined(__cpp_exceptions)
#define URING6_TRY try
#define URING6_CATCH_ALL catch (...)
#define URING6_RETHROW throw
#else
#define URING6_TRY if constexpr (true)
#define URING6_CATCH_ALL else
#define URING6_RETHROW static_cast<void>(0)
#endif

namespace uring6::inline v0::detail {

/// Throws `failed`. Without exceptions, prints its text and ends the program (std::terminate), as an exception does
/// that no program catches.
template <class Exception>
[[noreturn, gnu::cold, gnu::noinline]] void throw_or_terminate(const Exception& failed) {
#if defined(__cpp_exceptions)
  throw failed;
#else
  std::fprintf(stderr, "%s\n", failed.what());
  std::terminate();
#endif
}

}  // namespace uring6::inline v0::detail
