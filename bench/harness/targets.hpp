// What uring6 must reach: each a ratio of two medians of one run.
#pragma once

#include <string>
#include <vector>

#include "harness/runner.hpp"

namespace bench {

struct target {
  std::string contest;
  std::string what;
  std::string subject;
  /// The fastest of these counts.
  std::vector<std::string> against;
  double at_most;
  /// At most so many nanoseconds more, where the target says so.
  std::optional<double> at_most_more = std::nullopt;
};

const std::vector<target>& targets();

/// A target, judged. Absent if one side did not run.
struct verdict {
  target goal;
  std::string against;  // who it was
  estimate ratio;
  double more = 0;  // nanoseconds between both medians
  bool met = false;
};

std::vector<verdict> judge(const std::vector<contest_report>&);

}  // namespace bench
