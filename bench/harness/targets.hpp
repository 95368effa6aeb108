// The targets of uring6: ratios of two medians of one run, and limits on the cost of a datagram, a round trip or a
// socket.
#pragma once

#include <string>
#include <vector>

#include "harness/runner.hpp"

namespace bench {

/// The figure of a result that a ratio is about.
enum class measure {
  value,  // in the contest's unit
  p50     // of the latencies
};

struct target {
  std::string contest{};
  std::string what{};
  std::string subject{};
  /// The fastest of these subjects counts.
  std::vector<std::string> against{};
  double at_most{};
  /// The most nanoseconds that uring6's median may take more, beside the ratio; nothing if the target has no such
  /// limit.
  std::optional<double> at_most_more = std::nullopt;
  measure of = measure::value;
};

const std::vector<target>& targets();

/// A judged target. Absent if one of its subjects did not run.
struct verdict {
  target goal{};
  std::string against{};  // the subject that was the fastest
  estimate ratio{};
  double more = 0;  // nanoseconds between both medians
  std::string plain_subject{};
  std::optional<estimate> plain{};  // the ratio that plain C reaches in place of uring6; nothing if it did not run
  bool met = false;                 // the whole interval is within the limit
};

std::vector<verdict> judge(const std::vector<contest_report>&);

/// A limit on a figure of every uring6 result that it is about.
struct limit {
  std::string what{};
  double at_most{};
  bool (*concerns)(const result&);
  /// Nothing if the figure was not measured.
  std::optional<double> (*figure)(const result&);
};

const std::vector<limit>& limits();

/// A limit, judged by the worst result. Absent without a result.
struct finding {
  limit goal{};
  std::string contest{};
  std::string subject{};
  std::string load{};
  double reached = 0;
  bool met = false;
};

std::vector<finding> judge_limits(const std::vector<contest_report>&);

}  // namespace bench
