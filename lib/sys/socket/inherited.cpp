#include "uring6/inherited.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string_view>
#include <system_error>

#include "sys/socket/first_inherited.hpp"
#include "uring6/text.hpp"

namespace uring6::inline v0 {
namespace {

struct listen_variables {
  std::optional<std::string> process;  // LISTEN_PID
  std::optional<std::string> count;    // LISTEN_FDS
  std::optional<std::string> names;    // LISTEN_FDNAMES
};

std::optional<std::string> take_variable(const char* name) {
  const char* const value = std::getenv(name);
  if (!value) return std::nullopt;
  std::string taken = value;
  ::unsetenv(name);
  return taken;
}

/// A number without sign, blanks or other characters.
std::optional<int> parse_count(std::string_view text) noexcept {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty() || text.front() == '-')
    return std::nullopt;
  return number;
}

std::vector<std::string> split_names(std::string_view text) {
  std::vector<std::string> names;
  for (std::size_t at = 0;;) {
    const std::size_t colon = text.find(':', at);
    names.emplace_back(text.substr(at, colon - at));
    if (colon == text.npos) return names;
    at = colon + 1;
  }
}

std::error_code close_on_exec(int fd) noexcept {
  const int flags = ::fcntl(fd, F_GETFD);
  if (flags >= 0 && ::fcntl(fd, F_SETFD, flags | FD_CLOEXEC) == 0) return {};
  return {errno, std::system_category()};
}

}  // namespace

std::string to_string(const inherited_socket& of) {
  return "fd=" + std::to_string(of.fd) + " " + of.name;
}

result<std::vector<inherited_socket>> listen_inherited() {
  const listen_variables given{take_variable("LISTEN_PID"), take_variable("LISTEN_FDS"),
                               take_variable("LISTEN_FDNAMES")};
  std::vector<inherited_socket> sockets;
  if (!given.process || !given.count) return sockets;
  const auto process = parse_count(*given.process);
  const auto count = parse_count(*given.count);
  if (!process || !count || *count > std::numeric_limits<int>::max() - first_inherited) return fail(errc::malformed);
  if (*process != ::getpid()) return sockets;

  std::vector<std::string> names;
  if (given.names && *count > 0) names = split_names(*given.names);
  if (given.names && names.size() != static_cast<std::size_t>(*count)) return fail(errc::malformed);
  for (int i = 0; i < *count; ++i) {
    if (const auto error = close_on_exec(first_inherited + i)) return fail(error);
    sockets.push_back({first_inherited + i, given.names ? names[static_cast<std::size_t>(i)] : "unknown"});
  }
  return sockets;
}

}  // namespace uring6::inline v0
