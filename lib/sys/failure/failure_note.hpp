// Notes of failures: what was tried, on which object. The public functions that open, configure and look up make them.
#pragma once

#include <concepts>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <string_view>

#include "uring6/result.hpp"

namespace uring6::inline v0::detail {

/// Keeps "OPERATION OBJECT" in place of the oldest note, and returns its number. Longer texts are cut. Any thread.
std::uint32_t keep_note(const std::error_code& error, std::string_view operation, std::string_view object) noexcept;

/// The outcome, with a note of the operation if it failed without one: a function that calls another public one leaves
/// that one's note. `object()` returns its text, and is called only then.
template <class T, std::invocable Object>
result<T> noted(result<T> outcome, std::string_view operation, Object object) {
  if (outcome) return outcome;
  const failure why = fail(outcome);
  if (why.note() != 0) return outcome;
  try {
    return failure(why.error(), keep_note(why.error(), operation, object()));
  } catch (const std::bad_alloc&) {
    return failure(why.error(), keep_note(why.error(), operation, {}));
  }
}

/// Objects of failures that more than one file notes.
inline auto value_or_default(const std::optional<int>& value) {
  return [=] { return value ? std::to_string(*value) : std::string("to the default"); };
}
inline auto on_or_off(bool on) {
  return [=] { return std::string(on ? "on" : "off"); };
}
inline auto count_of_octets(std::size_t octets) {
  return [=] { return std::to_string(octets) + " octets"; };
}
inline auto descriptor_number(int fd) {
  return [=] { return "descriptor " + std::to_string(fd); };
}

}  // namespace uring6::inline v0::detail
