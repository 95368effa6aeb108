// The echo servers of the saturated cases.
#pragma once

#include <vector>

#include "harness/contest.hpp"

namespace bench {

/// Those of each case, the baseline in plain C first, and behind it `more`, in plain C as well.
std::vector<entrant> echo_servers(std::vector<entrant> more);

}  // namespace bench
