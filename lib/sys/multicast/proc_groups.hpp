// Parses the multicast tables in /proc.
#pragma once

#include <string_view>
#include <vector>

#include "uring6/interface.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

/// Parses the text of /proc/net/igmp6. `errc::malformed` for a line that is not in that file's format.
result<std::vector<group_membership>> parse_igmp6(std::string_view text);

/// The groups that the interfaces of this thread's network namespace have joined, without sources. Errors: those of
/// reading /proc/thread-self/net/igmp6; `errc::malformed`.
result<std::vector<group_membership>> read_igmp6();

/// Adds the sources in the text of /proc/net/mcfilter6 to their memberships. Sources of a group that is not in
/// `memberships`, because it was joined after they were read, are ignored. `errc::malformed` as above.
result<void> add_sources(std::vector<group_membership>& memberships, std::string_view text);

}  // namespace uring6::inline v0
