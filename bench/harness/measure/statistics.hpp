// Medians and their intervals.
#pragma once

#include <vector>

namespace bench {

/// A median with the 95 % interval around it.
struct estimate {
  double median = 0;
  double low = 0;
  double high = 0;
};

double median_of(std::vector<double> values);

/// The median of `values`, its interval by bootstrap with a fixed seed. `processes`: how many equal parts `values` has,
/// each measured by a process of its own. The bootstrap draws processes, and of each the windows, so the interval shows
/// how far processes differ. Values that do not divide into so many parts count as those of one process.
estimate estimate_median(const std::vector<double>& values, std::size_t processes = 1);

/// The ratio of two medians. Windows of the same index ran side by side, so they are drawn in pairs.
estimate estimate_ratio(const std::vector<double>& numerator, const std::vector<double>& denominator,
                        std::size_t processes = 1);

}  // namespace bench
