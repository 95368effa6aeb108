// failure: the error of a result, and what was tried, on which object.
#pragma once

#include "uring6/version.hpp"

#include <cassert>
#include <cstdint>
#include <string>
#include <system_error>
#include <type_traits>

#include "uring6/error.hpp"
#include "uring6/export.hpp"

namespace uring6::inline v0 {

class failure;

namespace detail {

/// What was noted of a failure: "listen_packet udp6 [::1]:53". Empty without a note, or when newer ones have taken its
/// place.
struct failure_note {
  std::string what{};
  std::string cure{};
};
/// Any thread. Throws std::bad_alloc.
URING6_EXPORT failure_note find_note(std::uint32_t number);

/// What or_throw throws: a std::system_error whose text is that of `failure::text`.
[[noreturn]] URING6_EXPORT void throw_failure(const failure& why);

/// Whether a result has a value, and if not the number of the error's note: one word, which a value sets by one store.
class outcome_tag {
 public:
  static constexpr outcome_tag value() noexcept { return outcome_tag(1); }
  /// `note` below 2^31 (asserted); 0: none.
  static constexpr outcome_tag error(std::uint32_t note = 0) noexcept {
    assert(note <= most_notes);
    return outcome_tag(note << 1);
  }
  static constexpr std::uint32_t most_notes = UINT32_MAX >> 1;

  constexpr bool has_value() const noexcept { return (bits_ & 1) != 0; }
  constexpr std::uint32_t note() const noexcept { return bits_ >> 1; }

 private:
  explicit constexpr outcome_tag(std::uint32_t bits) noexcept : bits_(bits) {}

  std::uint32_t bits_;
};

}  // namespace detail

/// The error of a result that has no value: what `fail` returns. Converts to every result<T>.
///
/// Functions that open a conn or signals, change an option or a membership, or look up a name note what they tried,
/// and on which object. The note lies in memory of the process that holds the latest 64 of them; the failure has its
/// number. So results are as large as without notes. Reads, writes, deadlines and getters note nothing, and allocate
/// nothing.
class [[nodiscard]] failure {
 public:
  /// `note`: its number, 0: none.
  explicit failure(std::error_code error, std::uint32_t note = 0) noexcept : error_(error), note_(note) {}

  const std::error_code& error() const noexcept { return error_; }
  std::uint32_t note() const noexcept { return note_; }

  /// "join_group ff02::114 on eth0: no such network interface or zone (ip link lists the interfaces)": the operation
  /// and its object, the error's message, and what to do about it. The message alone if nothing was noted, or 64 later
  /// failures were. Any thread. Throws std::bad_alloc.
  std::string text() const {
    const detail::failure_note noted = detail::find_note(note_);
    std::string all = noted.what;
    if (!all.empty()) all += ": ";
    all += error_.message();
    if (!noted.cure.empty()) all.append(" (").append(noted.cure).append(")");
    return all;
  }

 private:
  std::error_code error_;
  std::uint32_t note_;
};

/// An error result: `return fail(errc::closed);` or `return fail(std::errc::invalid_argument);`.
template <class E>
requires std::is_enum_v<E> || std::is_same_v<E, std::error_code> failure fail(E e)
noexcept {
  if constexpr (std::is_same_v<E, std::error_code>) {
    return failure(e);
  } else {
    using std::make_error_code;
    return failure(make_error_code(e));
  }
}

/// An error result from an errno value, positive as in `errno`.
inline failure fail_errno(int error_number) noexcept {
  return failure(std::error_code(error_number, std::system_category()));
}

}  // namespace uring6::inline v0
