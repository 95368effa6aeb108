#include "harness/measure/histogram.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>

using bench::histogram;
using Catch::Matchers::WithinRel;

TEST_CASE("a_small_value_has_a_bucket_of_its_own") {
  histogram h;
  for (std::uint64_t v = 1; v <= 100; ++v) h.record(v);
  CHECK(h.quantile(0.5) == 50);
  CHECK(h.quantile(0.99) == 99);
  CHECK(h.quantile(1) == 100);
  CHECK(h.total() == 100);
}

TEST_CASE("a_large_value_is_kept_to_a_thousandth") {
  for (std::uint64_t v = 2047; v < std::uint64_t{1} << 39; v = v * 3 / 2 + 1) {
    histogram h;
    h.record(v);
    CHECK_THAT(h.quantile(0.5), WithinRel(static_cast<double>(v), 0.001));
    CHECK(h.maximum() == v);
  }
}

TEST_CASE("a_value_beyond_the_last_bucket_counts_in_it") {
  histogram h;
  h.record(~std::uint64_t{0});
  CHECK(h.total() == 1);
  CHECK(h.quantile(1) > 1e12);
}

TEST_CASE("merged_histograms_have_the_percentiles_of_all_values") {
  histogram low;
  histogram high;
  for (int i = 0; i < 99; ++i) low.record(10);
  high.record(1'000'000);
  low.merge(high);
  CHECK(low.total() == 100);
  CHECK(low.quantile(0.99) == 10);
  CHECK_THAT(low.quantile(1), WithinRel(1e6, 0.001));
}
