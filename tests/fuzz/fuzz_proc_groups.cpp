// Any text as /proc/net/igmp6, and any as /proc/net/mcfilter6 behind it: each is refused as malformed or read to the
// last line, and each line gives a group or at most one source.
#include <algorithm>
#include <string_view>

#include "fuzz/fuzz.hpp"
#include "sys/multicast/proc_groups.hpp"

using uring6::errc;
using uring6::group_membership;
using uring6::fuzz::check;

namespace {

std::size_t sources_of(const std::vector<group_membership>& all) {
  std::size_t count = 0;
  for (const group_membership& each : all) count += each.sources.size();
  return count;
}

std::size_t lines_of(std::string_view text) {
  const auto ends = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  return ends + (text.empty() || text.ends_with('\n') ? 0 : 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // A NUL, which no file of /proc contains, separates the two.
  const std::size_t end = std::min(text.find('\0'), text.size());
  const std::string_view groups = text.substr(0, end);
  const std::string_view sources = text.substr(std::min(end + 1, text.size()));

  auto memberships = uring6::parse_igmp6(groups);
  if (!memberships) {
    check(memberships.error() == errc::malformed, "what is no table of groups is malformed");
    return 0;
  }
  check(memberships->size() == lines_of(groups), "each line is a group");
  for (const group_membership& each : *memberships) {
    check(each.interface_index != 0, "each group is on an interface");
    check(each.sources.empty(), "the table of groups has no sources");
    const bool scoped = each.group.is_interface_local_multicast() || each.group.is_link_local_multicast();
    check(each.group.zone() == (scoped ? each.interface_index : 0), "a group has a zone if its scope is the link's");
  }
  const auto added = uring6::add_sources(*memberships, sources);
  check(added || added.error() == errc::malformed, "what is no table of sources is malformed");
  check(sources_of(*memberships) <= lines_of(sources), "no line is more than one source");
  for (const group_membership& each : *memberships) {
    for (const uring6::group_source& source : each.sources) {
      check(!source.source.is_link_local() || source.source.zone() != 0, "a link-local source is in a zone");
      check(source.source.is_link_local() || source.source.zone() == 0, "no other source is");
    }
  }
  return 0;
}
