#include "harness/measure/statistics.hpp"

#include <algorithm>
#include <functional>
#include <random>

namespace bench {
namespace {

constexpr int resamples = 4000;

/// Draws processes with replacement, and of each as many of its windows; collects the values of `figure` for each draw.
estimate bootstrap(std::size_t windows, std::size_t processes, double median,
                   const std::function<double(const std::vector<std::size_t>&)>& figure) {
  if (processes == 0 || windows % processes != 0) processes = 1;
  const std::size_t of_each = windows / processes;
  std::mt19937 random(20'240'229);  // the same in every run, so that a report can be recomputed from its JSON
  std::uniform_int_distribution<std::size_t> any_process(0, processes - 1);
  std::uniform_int_distribution<std::size_t> any_window(0, of_each - 1);
  std::vector<std::size_t> drawn(windows);
  std::vector<double> figures(resamples);
  for (double& f : figures) {
    for (auto next = drawn.begin(); next != drawn.end();) {
      const std::size_t first = processes > 1 ? any_process(random) * of_each : 0;
      next = std::generate_n(next, of_each, [&] { return first + any_window(random); });
    }
    f = figure(drawn);
  }
  std::sort(figures.begin(), figures.end());
  return {median, figures[resamples / 40], figures[resamples - 1 - resamples / 40]};
}

std::vector<double> pick(const std::vector<double>& values, const std::vector<std::size_t>& drawn) {
  std::vector<double> picked;
  picked.reserve(drawn.size());
  for (const std::size_t i : drawn) picked.push_back(values[i]);
  return picked;
}

}  // namespace

double median_of(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

estimate estimate_median(const std::vector<double>& values, std::size_t processes) {
  if (values.empty()) return {};
  return bootstrap(values.size(), processes, median_of(values),
                   [&](const auto& drawn) { return median_of(pick(values, drawn)); });
}

estimate estimate_ratio(const std::vector<double>& numerator, const std::vector<double>& denominator,
                        std::size_t processes) {
  const std::size_t windows = std::min(numerator.size(), denominator.size());
  if (windows == 0) return {};
  return bootstrap(windows, processes, median_of(numerator) / median_of(denominator), [&](const auto& drawn) {
    return median_of(pick(numerator, drawn)) / median_of(pick(denominator, drawn));
  });
}

}  // namespace bench
