// What uring6 must reach: ratios of two medians of one run, and limits on what a datagram, a round trip or
// a socket costs.
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
  std::string plain_subject;
  std::optional<estimate> plain;  // what plain C reaches in place of uring6; nothing if it did not run
  bool met = false;
};

std::vector<verdict> judge(const std::vector<contest_report>&);

/// A limit on a figure of every one of uring6's results that it concerns.
struct limit {
  std::string what;
  double at_most;
  bool (*concerns)(const result&);
  /// Nothing where it was not taken.
  std::optional<double> (*figure)(const result&);
};

const std::vector<limit>& limits();

/// A limit, judged by the result that is the worst. Absent if there is none.
struct finding {
  limit goal;
  std::string contest;
  std::string subject;
  std::string load;
  double reached = 0;
  bool met = false;
};

std::vector<finding> judge_limits(const std::vector<contest_report>&);

}  // namespace bench
