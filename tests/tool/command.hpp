// Runs the command uring6 with arguments, as a shell does.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "support/process/program.hpp"

namespace uring6::test {

program_end uring6_command(std::vector<std::string> arguments, const program_settings& settings = {});

/// The whole text as one JSON value; throws if it is none.
nlohmann::json as_json(const std::string& text);

/// The names of an object's fields, sorted.
std::vector<std::string> names_of(const nlohmann::json& object);

/// Whether the text is one line with an error message.
inline bool is_one_line(std::string_view text) {
  return !text.empty() && text.find('\n') == text.size() - 1;
}

}  // namespace uring6::test
