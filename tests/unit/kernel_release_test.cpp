#include "sys/kernel_release.hpp"

#include <catch2/catch_test_macros.hpp>

namespace {

using namespace uring6;

TEST_CASE("trains are wanted from the kernel that first merged equals only") {
  for (const char* right : {"6.9.0", "6.9", "6.10.3-amd64", "6.18.44-fc-v595", "7.0.1", "10.0"}) {
    INFO(right);
    CHECK(merges_only_equals(right));
  }
  for (const char* wrong : {"6.8.12", "6.1.0-37-amd64", "5.15.0", "6", "6.", "6.x", "unknown", "", "-6.9", "69"}) {
    INFO(wrong);
    CHECK_FALSE(merges_only_equals(wrong));
  }
}

TEST_CASE("the kernel says its release") {
  CHECK(kernel_release() != "unknown");
  CHECK(kernel_merges_only_equals() == merges_only_equals(kernel_release()));
}

}  // namespace
