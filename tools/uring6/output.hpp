// Standard output in one of two forms: lines for people, or one JSON object. Nothing is printed in both.
#pragma once

#include <fmt/format.h>

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "exit_status.hpp"

namespace uring6::tool {

class output {
 public:
  explicit output(bool json) noexcept : json_(json) {}

  /// Prints a line of the text form; in JSON mode nothing.
  template <class... Arguments>
  void line(fmt::format_string<Arguments...> form, Arguments&&... arguments) {
    if (!json_) write(fmt::format(form, std::forward<Arguments>(arguments)...));
  }

  /// Prints the object of the JSON form, with "schema" and the version; in text mode nothing.
  void object(const nlohmann::ordered_json& fields);

  /// Prints the object of an error, in place of the result; `command` is empty if none was chosen.
  void error(const std::string& command, exit_status status, const std::string& message);

  /// Writes everything out. Throws failure (system) if any of it could not be written: a full disk, a closed
  /// descriptor.
  void flush();

 private:
  void write(std::string_view line);

  bool json_;
  int error_ = 0;
};

/// A descriptor 0, 1 or 2 that the caller closed would become the first socket or ring, and printed output would be
/// written into it. Fills the gap with a descriptor that refuses.
void occupy_standard_descriptors();

}  // namespace uring6::tool
