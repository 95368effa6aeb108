// A place for an error that is nearly always empty. Making a std::error_code empty costs a call; this does not.
#pragma once

#include <system_error>

#include "uring6/result.hpp"

namespace uring6::inline v0::detail {

class error_slot {
 public:
  error_slot() = default;
  error_slot(std::error_code code) noexcept  // NOLINT(google-explicit-constructor): a slot is an error code
      : category_(code ? &code.category() : nullptr), value_(code.value()) {}
  error_slot(errc code) noexcept : error_slot(make_error_code(code)) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const noexcept { return category_ != nullptr; }
  friend bool operator==(const error_slot&, const error_slot&) = default;
  std::error_code code() const noexcept { return category_ ? std::error_code(value_, *category_) : std::error_code(); }

 private:
  const std::error_category* category_ = nullptr;
  int value_ = 0;
};

}  // namespace uring6::inline v0::detail
