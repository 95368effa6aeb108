#include "harness/measure/statistics.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>

using namespace bench;
using Catch::Matchers::WithinRel;

TEST_CASE("the_median_of_an_even_number_lies_between_the_middle_two") {
  CHECK(median_of({3, 1, 2}) == 2);
  CHECK(median_of({4, 1, 3, 2}) == 2.5);
  CHECK(median_of({7}) == 7);
}

TEST_CASE("an_interval_holds_the_median_and_no_outlier_of_one_window") {
  const std::vector<double> windows = {100, 101, 99, 100, 102, 98, 100, 101, 99, 900};
  const estimate figure = estimate_median(windows);
  CHECK(figure.median == 100);
  CHECK(figure.low <= figure.median);
  CHECK(figure.high >= figure.median);
  CHECK(figure.high < 200);
}

TEST_CASE("the_same_windows_give_the_same_interval") {
  const std::vector<double> windows = {5, 6, 7, 8, 9, 5.5, 6.5};
  CHECK(estimate_median(windows).low == estimate_median(windows).low);
  CHECK(estimate_median(windows).high == estimate_median(windows).high);
}

TEST_CASE("an_interval_shows_how_far_processes_differ") {
  std::vector<double> windows;
  for (const double of_process : {1.0, 2.0, 3.0}) windows.insert(windows.end(), 20, of_process);
  const estimate as_one = estimate_median(windows);
  CHECK(as_one.low == 2);
  CHECK(as_one.high == 2);
  const estimate of_three = estimate_median(windows, 3);
  CHECK(of_three.median == 2);
  CHECK(of_three.low == 1);
  CHECK(of_three.high == 3);
  const std::vector<double> unit(windows.size(), 1.0);
  CHECK(estimate_ratio(windows, unit, 3).high == 3);
  windows.pop_back();  // does not divide into three
  CHECK(estimate_median(windows, 3).low == 2);
}

TEST_CASE("what_disturbs_both_sides_of_a_round_cancels_out_of_a_ratio") {
  const std::vector<double> quiet_and_loud = {100, 200, 100, 200, 100, 200, 100, 200};
  std::vector<double> twice;
  for (const double v : quiet_and_loud) twice.push_back(2 * v);
  const estimate ratio = estimate_ratio(twice, quiet_and_loud);
  CHECK_THAT(ratio.median, WithinRel(2.0, 1e-9));
  CHECK_THAT(ratio.low, WithinRel(2.0, 1e-9));
  CHECK_THAT(ratio.high, WithinRel(2.0, 1e-9));
}

TEST_CASE("no_windows_give_no_figure") {
  CHECK(estimate_median({}).median == 0);
  CHECK(estimate_ratio({}, {1}).median == 0);
}
