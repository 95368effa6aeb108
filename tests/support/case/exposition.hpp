// A strict reader of Prometheus' text format 0.0.4 and of OpenMetrics 1.0.0, as far as counters, gauges and histograms
// go. It accepts less than a scraper does: each metric has HELP and TYPE once, in that order, and stands in one place.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace uring6::test {

struct exposition {
  std::map<std::string, std::string> kinds;   ///< "counter", "gauge", "histogram", by the name of TYPE.
  std::map<std::string, std::string> values;  ///< By name and labels as they stand: `a_total{loop="0"}`.
};

/// Throws std::runtime_error with the line for what the format does not allow.
exposition read_exposition(std::string_view text, bool open_metrics = false);

}  // namespace uring6::test
