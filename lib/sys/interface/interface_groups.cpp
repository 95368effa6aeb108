#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <string>

#include "sys/multicast/membership.hpp"
#include "sys/multicast/proc_groups.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "sys/socket/socket.hpp"

namespace uring6::inline v0 {
namespace {

// Removes the next word from `line` and returns it; empty at the end of the line.
std::string_view take_word(std::string_view& line) noexcept {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

std::string_view take_line(std::string_view& text) noexcept {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

template <class T>
bool parse_number(std::string_view word, T& to, int base = 10) noexcept {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), to, base);
  return error == std::errc{} && end == word.data() + word.size();
}

// Parses 32 hexadecimal digits, the form of addresses in /proc/net.
bool parse_address(std::string_view word, ip_address& to) noexcept {
  ip_address::bytes_type bytes{};
  if (word.size() != 2 * bytes.size()) return false;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (!parse_number(word.substr(2 * i, 2), bytes[i], 16)) return false;
  }
  to = ip_address(bytes);
  return true;
}

ip_address in_zone(const ip_address& group, std::uint32_t index) noexcept {
  const bool scoped = group.is_interface_local_multicast() || group.is_link_local_multicast();
  return scoped ? group.with_zone(index) : group;
}

// Reads a table in /proc/thread-self/net. /proc/net would be that of the process's main thread, which may be in another
// network namespace.
result<std::string> read_table(const char* path) {
  const file_descriptor file(::open(path, O_RDONLY | O_CLOEXEC));
  if (!file) return fail_errno(errno);
  std::string text;
  std::array<char, 16384> part;
  for (;;) {
    const ssize_t size = ::read(file.get(), part.data(), part.size());
    if (size == 0) return text;
    if (size > 0) {
      text.append(part.data(), static_cast<std::size_t>(size));
    } else if (errno != EINTR) {
      return fail_errno(errno);
    }
  }
}

// ff31::7572:696e:6736: a transient source-specific group of interface-local scope. The kernel sends no report of a
// group of that scope.
constexpr ip_address marker({0xff, 0x31, 0, 0, 0, 0, 0, 0, 0, 0, 'u', 'r', 'i', 'n', 'g', '6'});

// Works around a fault of the kernel (seen in 6.18): mcfilter6 begins at the first device with sources in its newest
// group, and the sources of the devices before it are missing. Joining such a group on the first device, which is
// always lo, makes the table complete.
file_descriptor mark_first_device() noexcept {
  constexpr std::uint32_t lo = 1;  // LOOPBACK_IFINDEX
  result<file_descriptor> fd = open_socket(AF_INET6, SOCK_DGRAM);
  // If the join is refused, the table may lack sources.
  if (!fd || !join_source_specific_group(fd->get(), lo, marker, ip_address::loopback())) return {};
  return *std::move(fd);
}

}  // namespace

result<std::vector<group_membership>> parse_igmp6(std::string_view text) {
  std::vector<group_membership> memberships;
  while (!text.empty()) {
    std::string_view line = take_line(text);  // index, device, group, users, flags, timer
    group_membership found;
    const bool good = parse_number(take_word(line), found.interface_index) && !take_word(line).empty() &&
                      parse_address(take_word(line), found.group) && parse_number(take_word(line), found.users);
    if (!good || found.interface_index == 0) return fail(errc::malformed);
    found.group = in_zone(found.group, found.interface_index);
    memberships.push_back(std::move(found));
  }
  return memberships;
}

result<void> add_sources(std::vector<group_membership>& memberships, std::string_view text) {
  take_line(text);  // the column headings
  while (!text.empty()) {
    std::string_view line = take_line(text);  // index, device (cut), group, source, include count, exclude count
    std::uint32_t index = 0;
    ip_address group;
    group_source found;
    const bool good = parse_number(take_word(line), index) && !take_word(line).empty() &&
                      parse_address(take_word(line), group) && parse_address(take_word(line), found.source) &&
                      parse_number(take_word(line), found.included) && parse_number(take_word(line), found.excluded);
    if (!good) return fail(errc::malformed);
    if (found.source.is_link_local()) found.source = found.source.with_zone(index);
    const auto at = std::find_if(memberships.begin(), memberships.end(), [&](const group_membership& m) {
      return m.interface_index == index && m.group == in_zone(group, index);
    });
    if (at != memberships.end()) at->sources.push_back(found);
  }
  return {};
}

result<std::vector<group_membership>> read_igmp6() {
  return read_table("/proc/thread-self/net/igmp6").and_then(parse_igmp6);
}

result<std::vector<group_membership>> interface::all_groups() {
  result<std::vector<group_membership>> memberships = read_igmp6();
  if (!memberships) return memberships;
  const file_descriptor mark = mark_first_device();
  const result<std::string> sources = read_table("/proc/thread-self/net/mcfilter6");
  if (!sources) return fail(sources.error());
  // A marker group that another thread has joined at the same time.
  std::erase_if(*memberships, [](const group_membership& m) { return m.group.with_zone(0) == marker; });
  if (const result<void> added = add_sources(*memberships, *sources); !added) return fail(added.error());
  return memberships;
}

result<std::vector<group_membership>> interface::groups() const {
  result<std::vector<group_membership>> found = all_groups();
  if (!found) return found;
  std::erase_if(*found, [this](const group_membership& m) { return m.interface_index != index; });
  if (found->empty()) {
    if (const result<interface> still_there = by_index(index); !still_there) return fail(still_there.error());
  }
  return found;
}

}  // namespace uring6::inline v0
