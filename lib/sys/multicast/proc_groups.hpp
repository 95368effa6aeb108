// The multicast tables in /proc: text in, memberships out.
#pragma once

#include <string_view>
#include <vector>

#include "uring6/interface.hpp"
#include "uring6/result.hpp"

namespace uring6 {

/// Reads the text of /proc/net/igmp6. `errc::malformed` for a line that is not of that file.
result<std::vector<group_membership>> parse_igmp6(std::string_view text);

/// The groups that the interfaces of this thread's network namespace hear, without sources. Errors: those of reading
/// /proc/thread-self/net/igmp6; `errc::malformed`.
result<std::vector<group_membership>> read_igmp6();

/// Adds the sources in the text of /proc/net/mcfilter6 to the memberships they belong to; those of a group
/// that has been joined meanwhile have none and are left out. `errc::malformed` as above.
result<void> add_sources(std::vector<group_membership>& memberships, std::string_view text);

}  // namespace uring6
