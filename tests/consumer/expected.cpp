// What expected.sh compiles: std::expected (C++23) and tl::expected, where they are, to results and back.
#include <uring6/result.hpp>

#include <cstdio>
#include <memory>
#include <string>
#include <version>

#ifdef __cpp_lib_expected
#include <expected>
#endif
#if __has_include(<tl/expected.hpp>)
#include <tl/expected.hpp>
#endif

using uring6::errc;
using uring6::result;

template <template <class, class> class Expected, class Unexpected>
bool converts() {
  using text = Expected<std::string, std::error_code>;
  using nothing = Expected<void, std::error_code>;
  using owner = Expected<std::unique_ptr<int>, std::error_code>;
  const std::error_code closed = errc::closed;

  const result<std::string> value = text("value");
  const result<std::string> error = text(Unexpected(closed));
  const result<void> done = nothing();
  const result<void> undone = nothing(Unexpected(closed));
  result<std::unique_ptr<int>> owned = owner(std::make_unique<int>(7));
  if (value != "value" || error != uring6::fail(closed) || !done || undone != uring6::fail(closed) || **owned != 7) {
    return false;
  }
  const auto given = static_cast<owner>(std::move(owned));
  return static_cast<text>(value) == text("value") && static_cast<text>(error).error() == closed &&
         static_cast<nothing>(done).has_value() && static_cast<nothing>(undone).error() == closed && **given == 7;
}

int main() {
#ifdef __cpp_lib_expected
  if (!converts<std::expected, std::unexpected<std::error_code>>()) return 1;
  std::puts("std::expected");
#endif
#if __has_include(<tl/expected.hpp>)
  if (!converts<tl::expected, tl::unexpected<std::error_code>>()) return 1;
  std::puts("tl::expected");
#endif
}
