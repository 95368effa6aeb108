#include "net/kernel/receive_merging.hpp"

#include <catch2/catch_test_macros.hpp>

namespace {

using namespace uring6;
using detail::merges_only_equals;

TEST_CASE("trains are received on each kernel series since the release that merges equal datagrams only") {
  for (const kernel_version right : {kernel_version{6, 9, 0},
                                     {6, 10, 3},
                                     {6, 18, 44},
                                     {7, 0, 1},
                                     {10, 0, 0},
                                     {6, 8, 10},
                                     {6, 8, 12},
                                     {6, 6, 31},
                                     {6, 6, 90},
                                     {6, 1, 91},
                                     {6, 1, 192}}) {
    CAPTURE(right.major, right.minor, right.patch);
    CHECK(merges_only_equals(right, {}));
    CHECK(merges_only_equals(right, 64));
  }
  for (const kernel_version wrong : {kernel_version{6, 8, 9},
                                     {6, 8, 0},
                                     {6, 7, 12},
                                     {6, 6, 30},
                                     {6, 5, 13},
                                     {6, 2, 16},
                                     {6, 1, 90},
                                     {6, 1, 0},
                                     {5, 15, 190},
                                     {5, 10, 262},
                                     {0, 0, 0}}) {
    CAPTURE(wrong.major, wrong.minor, wrong.patch);
    CHECK_FALSE(merges_only_equals(wrong, {}));
    CHECK_FALSE(merges_only_equals(wrong, 64));
  }
}

TEST_CASE("a kernel of 6.1 that sends trains of 128 merges equal datagrams only, whatever its patch level is called") {
  CHECK(merges_only_equals({6, 1, 0}, 128));
  // Other series had the longer trains earlier, or never.
  for (const kernel_version other : {kernel_version{6, 8, 8}, {6, 6, 0}, {6, 7, 0}, {5, 14, 0}}) {
    CAPTURE(other.major, other.minor, other.patch);
    CHECK_FALSE(merges_only_equals(other, 128));
  }
}

TEST_CASE("the answer for the running kernel stays the same") {
  const bool first = detail::kernel_merges_only_equals();
  CHECK(detail::kernel_merges_only_equals() == first);
}

}  // namespace
