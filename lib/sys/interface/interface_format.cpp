#include <fmt/format.h>

#include <array>
#include <iterator>
#include <span>
#include <string_view>
#include <utility>

#include "uring6/interface.hpp"

namespace uring6 {
namespace {

template <class Flags>
std::string join_names(Flags flags, std::span<const std::pair<Flags, std::string_view>> names) {
  std::string text;
  for (const auto& [flag, name] : names) {
    if (!has_all(flags, flag)) continue;
    if (!text.empty()) text += '|';
    text += name;
  }
  return text.empty() ? "none" : text;
}

}  // namespace

std::string to_string(interface_flags flags) {
  using enum interface_flags;
  static constexpr std::array<std::pair<interface_flags, std::string_view>, 6> names{{
      {up, "up"},
      {broadcast, "broadcast"},
      {loopback, "loopback"},
      {point_to_point, "point_to_point"},
      {multicast, "multicast"},
      {running, "running"},
  }};
  return join_names<interface_flags>(flags, names);
}

std::string to_string(address_flags flags) {
  using enum address_flags;
  static constexpr std::array<std::pair<address_flags, std::string_view>, 7> names{{
      {permanent, "permanent"},
      {temporary, "temporary"},
      {stable_privacy, "stable_privacy"},
      {deprecated, "deprecated"},
      {tentative, "tentative"},
      {optimistic, "optimistic"},
      {duplicate, "duplicate"},
  }};
  return join_names<address_flags>(flags, names);
}

std::string to_string(const interface_address& one) {
  return fmt::format("{}/{}", one.address.to_string(), one.prefix_length);
}

std::string to_string(const interface& one) {
  std::string text = fmt::format("{}: {} <{}> mtu {}", one.index, one.name, to_string(one.flags), one.mtu);
  char separator = ' ';
  for (const std::uint8_t octet : one.hardware_address) {
    fmt::format_to(std::back_inserter(text), "{}{:02x}", separator, octet);
    separator = ':';
  }
  return text;
}

}  // namespace uring6
