// Tests that a release runs longer.
#pragma once

#include <cstdlib>

namespace uring6::test {

/// True with URING6_LONG=1 in the environment.
inline bool long_run() {
  const char* const wanted = std::getenv("URING6_LONG");
  return wanted && *wanted && *wanted != '0';
}

}  // namespace uring6::test
