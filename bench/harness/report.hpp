// The harness's output: the JSON file and the lines on the terminal.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "harness/measure/calibration.hpp"
#include "harness/runner.hpp"
#include "harness/targets.hpp"

namespace bench {

/// Describes the machine, its kernel, and the compilers and libraries of this build.
nlohmann::ordered_json describe_machine();

/// Schema 1: machine, calibration, results, targets, limits. A figure that was not measured is null.
nlohmann::ordered_json to_json(const nlohmann::ordered_json& machine, const calibration&, const effort&,
                               const std::vector<contest_report>&, const std::vector<verdict>&,
                               const std::vector<finding>&);

/// One line of a case's table.
std::string line_of(const result&);
std::string line_of(const verdict&);
std::string line_of(const finding&);
std::string line_of(const calibration&);
/// Empty if nothing is worth a line.
std::string line_of(const surroundings&);

}  // namespace bench
