// What expected.sh compiles: std::expected (C++23) and tl::expected, where they are, to results and back.
#include <uring6/result.hpp>

#include <cstdio>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
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
  // A bool takes no `has_value()` for its value, there or back.
  using flag = Expected<bool, std::error_code>;
  static_assert(!std::is_constructible_v<result<bool>, Expected<bool, int>>);
  static_assert(!std::is_constructible_v<result<bool>, Expected<int, std::error_code>>);
  const result<bool> no = flag(false);
  const result<bool> none = flag(Unexpected(closed));
  if (no != false || none != uring6::fail(closed)) return false;
  if (no.to<flag>() != flag(false) || none.to<flag>().has_value()) return false;

  const auto given = std::move(owned).template to<owner>();
  return value.to<text>() == text("value") && error.to<text>().error() == closed && done.to<nothing>().has_value() &&
         undone.to<nothing>().error() == closed && **given == 7;
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
