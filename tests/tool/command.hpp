// The command uring6 with arguments, as a shell starts it.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "support/program.hpp"

namespace uring6::test {

inline program_end uring6_command(std::vector<std::string> arguments, const program_settings& settings = {}) {
  arguments.insert(arguments.begin(), URING6_COMMAND);
  return run_program(arguments, settings);
}

/// The whole text as one JSON value; throws if it is none.
inline nlohmann::json as_json(const std::string& text) {
  return nlohmann::json::parse(text);
}

inline std::vector<std::string> names_of(const nlohmann::json& object) {
  std::vector<std::string> names;
  for (const auto& [name, value] : object.items()) names.push_back(name);
  std::ranges::sort(names);
  return names;
}

/// One line that tells the user what is wrong.
inline bool is_one_line(std::string_view text) {
  return !text.empty() && text.find('\n') == text.size() - 1;
}

}  // namespace uring6::test
