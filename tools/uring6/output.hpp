// Standard output in one of two forms: lines for people, or one JSON object. Nothing is ever in both.
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

  /// A line of the text form; in JSON mode nothing.
  template <class... Arguments>
  void line(fmt::format_string<Arguments...> form, Arguments&&... arguments) {
    if (!json_) write(fmt::format(form, std::forward<Arguments>(arguments)...));
  }

  /// The object of the JSON form, with "schema" and the version; in text mode nothing.
  void object(const nlohmann::ordered_json& fields);

  /// The object that tells an error, in place of the result; `command` is empty where none was chosen.
  void error(const std::string& command, exit_status status, const std::string& message);

  /// What was written so far is to be seen now. Throws failure (system) if any of it could not be written: a
  /// full disk, a closed descriptor.
  void flush();

 private:
  void write(std::string_view line);

  bool json_;
  int error_ = 0;
};

/// A descriptor 0, 1 or 2 that the caller closed would be given to the first socket or ring, and be written
/// on by those who mean standard output. Fills the gap with one that refuses.
void occupy_standard_descriptors();

}  // namespace uring6::tool
