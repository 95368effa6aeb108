// The version of the headers and of the library.
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "uring6/version.hpp"

namespace {

TEST_CASE("the library reports its version, that of its headers, as text and as a number") {
  CHECK(uring6::version() == URING6_VERSION_STRING);
  const int major = URING6_VERSION / 10000, minor = URING6_VERSION / 100 % 100, patch = URING6_VERSION % 100;
  CHECK(uring6::version() == std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch));
}

}  // namespace
