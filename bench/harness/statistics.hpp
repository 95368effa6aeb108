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

/// The median of `values`, its interval by bootstrap with a fixed seed.
estimate estimate_median(const std::vector<double>& values);

/// The ratio of two medians. Windows of the same index ran side by side, so they are drawn in pairs.
estimate estimate_ratio(const std::vector<double>& numerator, const std::vector<double>& denominator);

}  // namespace bench
