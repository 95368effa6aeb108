#include "tool/command.hpp"

#include <algorithm>

namespace uring6::test {

program_end uring6_command(std::vector<std::string> arguments, const program_settings& settings) {
  arguments.insert(arguments.begin(), URING6_COMMAND);
  return run_program(arguments, settings);
}

nlohmann::json as_json(const std::string& text) {
  return nlohmann::json::parse(text);
}

std::vector<std::string> names_of(const nlohmann::json& object) {
  std::vector<std::string> names;
  for (const auto& [name, value] : object.items()) names.push_back(name);
  std::ranges::sort(names);
  return names;
}

}  // namespace uring6::test
