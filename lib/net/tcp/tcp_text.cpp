#include <fmt/format.h>

#include "ipv6/value/names.hpp"
#include "uring6/resolve.hpp"
#include "uring6/tcp.hpp"
#include "uring6/text.hpp"

namespace uring6::inline v0 {

std::string to_string(stream_half half) {
  static constexpr detail::named<stream_half> names[] = {
      {stream_half::read, "read"},
      {stream_half::write, "write"},
      {stream_half::both, "both"},
  };
  return detail::name_of<stream_half>(half, names);
}

std::string to_string(const keep_alive& when) {
  return fmt::format("after {}s each {}s probes={}", when.idle.count(), when.interval.count(), when.probes);
}

std::string to_string(const released_tcp& of) {
  std::string text = fmt::format("fd={} unread={}", of.fd, of.unread.size());
  if (of.peer) text += " peer=" + of.peer->to_string();
  if (of.error) text += ": " + of.error.message();
  return text;
}

std::string to_string(resolve_options::family value) {
  using family = resolve_options::family;
  static constexpr detail::named<family> names[] = {{family::any, "any"}, {family::v6, "v6"}, {family::v4, "v4"}};
  return detail::name_of<family>(value, names);
}

std::string to_string(resolve_errc code) {
  return make_error_code(code).message();
}

}  // namespace uring6::inline v0
